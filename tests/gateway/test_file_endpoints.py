"""Files that clients send and runs make, over HTTP."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import Server, ask, serving

MOST = 4_000_000


@pytest.fixture(scope="module")
def file_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(
        tmp_path_factory.mktemp("files"),
        preload={},
        max_file_bytes=MOST,
        max_body_bytes=1000,
        tenant_stored_bytes=3 * MOST,
    ) as server:
        yield server


@pytest.fixture
def files(file_server: Server) -> Iterator[httpx2.Client]:
    """A client of a server that has no files."""
    with httpx2.Client(base_url=file_server.url, timeout=60) as client:
        for file in client.get("/v1/files?limit=1000").json()["data"]:
            client.delete(f"/v1/files/{file['id']}")
        yield client


def upload(
    client: httpx2.Client, name: str = "a.csv", body: bytes = b"a,b\n", **fields: str
) -> httpx2.Response:
    return client.post("/v1/files", files={"file": (name, body)}, data=fields)


def sent(client: httpx2.Client, name: str = "a.csv", body: bytes = b"a,b\n", **fields: str) -> dict[str, Any]:
    answer = upload(client, name, body, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def blobs(server: Server) -> set[str]:
    return {path.name for path in (server.log.parent / "blobs").iterdir()}


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.01)


def refused(answer: httpx2.Response, status: int, code: str | None = None) -> str:
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert document["request_id"] == answer.headers["request-id"]
    assert document["error"].get("details", {}).get("error_code") == code
    return document["error"]["message"]


def test_a_file_that_is_sent(files: httpx2.Client) -> None:
    file = sent(files, "größe.csv", b"a,b\n1,2\n")
    assert file == files.get(f"/v1/files/{file['id']}").json()
    created_at = file.pop("created_at")
    assert created_at.endswith("Z")
    assert file.pop("id").startswith("file_")
    assert file == {
        "type": "file",
        "filename": "größe.csv",
        "mime_type": "text/csv",
        "size_bytes": 8,
        "expires_at": None,
        "downloadable": False,
        "scope": None,
    }
    assert sent(files, expires_in_seconds="3600")["expires_at"] > created_at


def test_what_was_sent_is_not_handed_out_but_code_reads_it(files: httpx2.Client) -> None:
    file = sent(files, body=b"only here")
    path = f"/v1/files/{file['id']}"
    assert "own copy" in refused(files.get(f"{path}/content"), 400, "file_not_downloadable")
    run = {"code": "print(open('n').read())", "files": [{"name": "n", "file_id": file["id"]}]}
    assert files.post("/v1/executions", json=run).json()["stdout"] == "only here\n"
    assert files.delete(path).json() == {"id": file["id"], "type": "file_deleted"}
    for answer in (files.get(path), files.get(f"{path}/content"), files.delete(path)):
        refused(answer, 404)


def test_what_a_run_made(files: httpx2.Client) -> None:
    container = files.post("/v1/containers").json()["id"]
    sent(files)
    run = {"code": "open('made.txt', 'w').write('x')", "container": container}
    made = files.post("/v1/executions", json=run).json()["files"][0]["file_id"]
    (listed,) = files.get("/v1/files", params={"scope_id": container}).json()["data"]
    assert listed["id"] == made
    assert listed["downloadable"] is True
    assert listed["scope"] == {"type": "session", "id": container}
    assert listed["expires_at"] > listed["created_at"]
    assert files.get(f"/v1/files/{made}/content").content == b"x"
    assert files.get("/v1/files", params={"scope_id": "container_1"}).json()["data"] == []


def test_pages(files: httpx2.Client) -> None:
    empty = {"data": [], "next_page": None, "has_more": False, "first_id": None, "last_id": None}
    assert files.get("/v1/files").json() == empty
    newest_first = [sent(files, f"{number}.txt")["id"] for number in range(5)]
    newest_first.sort(reverse=True)

    def page(**query: object) -> dict[str, Any]:
        answer = files.get("/v1/files", params=query)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        found = answer.json()
        found["data"] = [newest_first.index(file["id"]) for file in found["data"]]
        return found

    first = page(limit=2)
    assert first["data"] == [0, 1]
    assert (first["first_id"], first["last_id"], first["has_more"]) == (
        newest_first[0],
        newest_first[1],
        True,
    )
    second = page(limit=2, page=first["next_page"])
    assert second == page(limit=2, after_id=first["last_id"])
    assert (second["data"], second["has_more"]) == ([2, 3], True)
    last = page(limit=2, page=second["next_page"])
    assert (last["data"], last["has_more"], last["next_page"]) == ([4], False, None)
    # And back.
    before = page(limit=2, before_id=newest_first[4])
    assert (before["data"], before["has_more"], before["next_page"]) == ([2, 3], True, None)
    assert page(limit=2, before_id=newest_first[2]) | {"has_more": None} == {
        **first,
        "next_page": None,
        "has_more": None,
    }
    assert page(limit=2, before_id=newest_first[2])["has_more"] is False
    # A page of exactly what is left is the last one.
    assert page(limit=5)["has_more"] is False
    # Whoever deletes what is listed goes on from what is there no more.
    files.delete(f"/v1/files/{newest_first[1]}")
    assert page(limit=2, page=first["next_page"]) == second
    chosen = page(**{"ids[]": [newest_first[4], newest_first[0], newest_first[1], newest_first[4], "file_1"]})
    assert chosen["data"] == [0, 4]
    assert chosen["next_page"] is None


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=two", "limit"),
        ("limit=1&limit=2", "limit"),
        ("page=file_1", "page"),
        ("page=page_", "page"),
        ("after_id=", "after_id"),
        ("after_id=%00", "after_id"),
        ("after_id=page_file_1", "after_id"),
        ("before_id=no+id", "before_id"),
        ("scope_id=", "scope_id"),
        ("ids[]=file_1&limit=0", "limit"),
        ("ids[]=file_1&page=file_1", "page"),
        ("ids[]=", "ids"),
        (
            "&".join(f"ids[]=file_{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(101)),
            "ids",
        ),
    ],
)
def test_lists_that_cannot_be(files: httpx2.Client, query: str, names: str) -> None:
    assert refused(files.get(f"/v1/files?{query}"), 400).startswith(f"{names}: ")


def test_of_several_cursors_one_counts(files: httpx2.Client) -> None:
    first, second, third = (upload(files, f"{n}.txt").json()["id"] for n in range(3))

    def listed(query: str) -> list[str]:
        return [file["id"] for file in files.get(f"/v1/files?{query}").json()["data"]]

    assert listed(f"page=page_{third}&after_id={second}&before_id={first}") == [second, first]
    assert listed(f"after_id={second}&before_id={first}") == [first]
    assert listed(f"ids[]={first}&ids[]={first}&limit=1&page=page_{first}") == [first]


def test_a_hundred_ids_and_unknown_parameters(files: httpx2.Client) -> None:
    ids = "&".join(f"ids[]=file_{number + 1}".replace("0", "Z") for number in range(100))
    assert files.get(f"/v1/files?beta=true&{ids}&ids[]=file_1").status_code == 200


def test_forms_that_are_wrong(file_server: Server, files: httpx2.Client) -> None:
    assert "expires_in_seconds" in refused(upload(files, expires_in_seconds="60"), 400)
    assert "file name" in refused(upload(files, "a/b.csv", bytes(100_000)), 400)
    refused(files.post("/v1/files", json={"file": "x"}), 400)
    refused(
        files.post(
            "/v1/files", content=b"x", headers={"content-type": "multipart/form-data; boundary=" + "x" * 500}
        ),
        400,
    )
    assert blobs(file_server) == set()
    assert files.get("/v1/files").json()["data"] == []


def test_files_that_are_too_large(file_server: Server, files: httpx2.Client) -> None:
    assert sent(files, body=bytes(MOST))["size_bytes"] == MOST  # far more than another request may have
    kept = blobs(file_server)

    def unannounced(size: int) -> Iterator[bytes]:
        yield b'--cut\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(size // 1000):
            yield bytes(1000)
        yield b"\r\n--cut--\r\n"

    form = {"content-type": "multipart/form-data; boundary=cut"}
    answers = [
        upload(files, body=bytes(MOST + 1)),
        upload(files, body=bytes(2 * MOST)),
        files.post("/v1/files", content=unannounced(2 * MOST), headers=form),
    ]
    for answer in answers:
        assert f"The file has more than the {MOST} bytes" in refused(answer, 413)
        assert answer.json()["error"]["type"] == "request_too_large"
    assert blobs(file_server) == kept


def test_room_for_so_much(file_server: Server, files: httpx2.Client) -> None:
    for _ in range(3):
        sent(files, body=bytes(MOST - 1))
    assert "Delete some" in refused(upload(files, body=bytes(10)), 400, "storage_quota_exceeded")
    assert len(blobs(file_server)) == 3
    # A run goes well all the same, and says what was not kept.
    done = files.post(
        "/v1/executions", json={"code": "open('made.txt', 'w').write('x' * 10)\nprint('done')"}
    ).json()
    assert (done["stdout"], done["files"], done["return_code"]) == ("done\n", [], 0)
    assert done["stderr"] == "Not kept, for want of room: made.txt\n"


def test_an_upload_that_breaks_off_leaves_nothing(file_server: Server, files: httpx2.Client) -> None:
    url = httpx2.URL(file_server.url)
    with socket.create_connection((url.host, url.port), timeout=30) as client:
        client.sendall(
            b"POST /v1/files HTTP/1.1\r\nhost: here\r\ncontent-length: 3900000\r\n"
            b"content-type: multipart/form-data; boundary=cut\r\n\r\n"
            b'--cut\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n' + bytes(3_000_000)
        )
        until(lambda: blobs(file_server), "the file to be begun")
    until(lambda: not blobs(file_server), "the half of a file to be gone")
    assert files.get("/v1/files").json()["data"] == []


def test_an_upload_that_the_shutdown_cuts_short(tmp_path: Path) -> None:
    with serving(tmp_path, preload={}) as server:
        url = httpx2.URL(server.url)
        with socket.create_connection((url.host, url.port), timeout=60) as client:
            client.sendall(
                b"POST /v1/files HTTP/1.1\r\nhost: here\r\ncontent-length: 3900000\r\n"
                b"content-type: multipart/form-data; boundary=cut\r\n\r\n"
                b'--cut\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
                + bytes(3_000_000)
            )
            until(lambda: blobs(server), "the file to be begun")
            server.process.terminate()
            until(lambda: "stopping" in server.log.read_text(), "the server to stop")
            server.process.terminate()  # a second signal does not wait
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"shutting down" in answer
        assert server.process.wait(30) == 0
        assert blobs(server) == set()


def test_what_has_expired_says_so(tmp_path: Path) -> None:
    with (
        serving(tmp_path, preload={}, file_keep_seconds=0.2) as server,
        httpx2.Client(base_url=server.url, timeout=60) as client,
    ):
        run = {"code": "open('made.txt', 'w').write('x')"}
        file_id = client.post("/v1/executions", json=run).json()["files"][0]["file_id"]
        until(lambda: not blobs(server), "the content to be swept")
        refused(client.get(f"/v1/files/{file_id}/content"), 404, "file_expired")
        assert client.get(f"/v1/files/{file_id}").json()["filename"] == "made.txt"
        again = {"code": "1", "files": [{"name": "n", "file_id": file_id}]}
        refused(client.post("/v1/executions", json=again), 404, "file_expired")
        upload = [{"role": "user", "content": [{"type": "container_upload", "file_id": file_id}]}]
        refused(client.post("/v1/messages", json=ask(upload)), 404, "file_expired")
        assert client.delete(f"/v1/files/{file_id}").status_code == 200
        refused(client.get(f"/v1/files/{file_id}"), 404)


def test_an_upload_that_stalls_is_ended(hasty: httpx2.Client) -> None:
    """It is told so, the connection ends, and nothing of it is kept."""
    before = hasty.get("/v1/files", params={"limit": 1000}).json()["data"]
    head = (
        "POST /v1/files HTTP/1.1\r\nhost: here\r\ncontent-length: 10000\r\n"
        "content-type: multipart/form-data; boundary=x\r\n\r\n"
        '--x\r\ncontent-disposition: form-data; name="file"; filename="half.txt"\r\n\r\nhalf of it'
    )
    address = hasty.base_url.host, hasty.base_url.port or 80
    with socket.create_connection(address, timeout=60) as client:
        client.sendall(head.encode())
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"timeout_error" in answer and b"for 1 seconds" in answer
    assert hasty.get("/v1/files", params={"limit": 1000}).json()["data"] == before
