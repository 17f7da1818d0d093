"""The Files API by the official Python SDK, in both of its forms."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
from serving import Server, serving


@pytest.fixture(scope="module")
def file_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("files"), preload={}, max_file_bytes=1_000_000) as server:
        yield server


@pytest.fixture
def client(file_server: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=file_server.url, api_key="mine", max_retries=0, timeout=60) as client:
        for file in list(client.files.list()):
            client.files.delete(file.id)
        yield client


@pytest.fixture(params=["files", "beta.files"])
def files(request: pytest.FixtureRequest, client: anthropic.Anthropic) -> Any:
    return client.files if request.param == "files" else client.beta.files


def test_upload_read_and_delete(files: Any, tmp_path: Path) -> None:
    path = tmp_path / "größe.csv"
    path.write_text("a,b\n1,2\n")
    file = files.upload(file=path, expires_in_seconds=3600)
    assert (file.type, file.filename, file.mime_type, file.size_bytes) == ("file", "größe.csv", "text/csv", 8)
    assert file.downloadable is False
    assert (file.expires_at - file.created_at).total_seconds() == pytest.approx(3600, abs=60)
    assert files.retrieve_metadata(file.id) == file
    with pytest.raises(anthropic.BadRequestError) as refused:
        files.download(file.id)
    assert refused.value.body["error"]["details"]["error_code"] == "file_not_downloadable"
    assert files.delete(file.id).type == "file_deleted"
    with pytest.raises(anthropic.NotFoundError):
        files.retrieve_metadata(file.id)


def test_every_way_to_give_a_file(files: Any) -> None:
    given = [
        ("a.txt", b"bytes"),
        ("b.bin", io.BytesIO(b"a stream"), "application/x-own"),
        ("c", io.BytesIO(b"\x89PNG\r\n\x1a\n" + bytes(9))),
        b"no name",
    ]
    kept = [files.upload(file=file) for file in given]
    assert [file.mime_type for file in kept] == ["text/plain", "application/x-own", "image/png", "text/plain"]
    assert kept[-1].filename == "upload"
    assert all(file.expires_at is None for file in kept)


def test_all_pages(files: Any) -> None:
    made = {files.upload(file=(f"{number}.txt", b"x")).id for number in range(7)}
    pages = list(files.list(limit=3).iter_pages())
    assert [len(page.data) for page in pages] == [3, 3, 1]
    listed = [file.id for file in files.list(limit=3)]
    assert listed == sorted(made, reverse=True)
    assert [file.id for file in files.list(ids=[listed[5], "file_1", listed[1]])] == [listed[1], listed[5]]


def test_the_pages_of_older_clients(client: anthropic.Anthropic) -> None:
    """They have no `page`: both directions are walked as their pager does."""
    listed = sorted((client.files.upload(file=(f"{n}.txt", b"x")).id for n in range(5)), reverse=True)

    def walk(cursor: str, start: str | None, last: str) -> list[list[str]]:
        found, query = [], {cursor: start} if start else {}
        while True:
            page = client.get("/v1/files", cast_to=object, options={"params": {"limit": 2, **query}})
            found.append([file["id"] for file in page["data"]])
            if not page["has_more"]:
                return found
            query = {cursor: page[last]}

    assert walk("after_id", None, "last_id") == [listed[:2], listed[2:4], listed[4:]]
    assert walk("before_id", listed[4], "first_id") == [listed[2:4], listed[:2]]


def test_what_code_has_made(files: Any, client: anthropic.Anthropic) -> None:
    body = {"code": "open('made.csv', 'w').write('a,b\\n')", "container": None}
    made = client.post("/v1/executions", cast_to=object, body=body)["files"][0]
    assert [file.id for file in files.list()] == [made["file_id"]]
    content = files.download(made["file_id"])
    assert content.read() == b"a,b\n"
    assert files.retrieve_metadata(made["file_id"]).downloadable is True


def test_code_reads_what_was_uploaded(files: Any, client: anthropic.Anthropic) -> None:
    file = files.upload(file=("data.csv", b"a\n42\n"))
    message: Any = client.messages.create(
        model="m",
        max_tokens=1000,
        tools=[{"type": "code_execution_20250825", "name": "code_execution"}],
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "container_upload", "file_id": file.id},
                    {"type": "text", "text": "```python\nprint(open('data.csv').read())\n```"},
                ],
            }
        ],
    )
    assert "42" in message.to_json()


def test_refusals(files: Any) -> None:
    with pytest.raises(anthropic.APIStatusError) as too_large:
        files.upload(file=("a", bytes(1_000_001)))
    assert too_large.value.status_code == 413
    for name in ("a:b.txt", "x" * 256):
        with pytest.raises(anthropic.BadRequestError, match="file name"):
            files.upload(file=(name, b"x"))
    with pytest.raises(anthropic.BadRequestError, match="limit"):
        files.list(limit=1001)


def test_a_message_names_a_file(client: anthropic.Anthropic, files: Any) -> None:
    """As the official guide has it: a document by the id of its file. Code finds it as well."""
    file = files.upload(file=("notes.txt", b"hello"))

    def ask(kind: str, file_id: str) -> Any:
        content = [
            {"type": kind, "source": {"type": "file", "file_id": file_id}},
            {"type": "text", "text": "```python\nprint(open('notes.txt').read())\n```"},
        ]
        return client.beta.messages.create(
            model="direct",
            max_tokens=100,
            messages=[{"role": "user", "content": content}],
            tools=[{"type": "code_execution_20260120", "name": "code_execution"}],
            betas=["files-api-2025-04-14"],
        )

    (result,) = (block for block in ask("document", file.id).content if hasattr(block, "tool_use_id"))
    assert result.content.stdout == "hello\n"
    with pytest.raises(anthropic.BadRequestError, match="an image is one of"):
        ask("image", file.id)
    files.delete(file.id)
    with pytest.raises(anthropic.NotFoundError, match=file.id):
        ask("document", file.id)
