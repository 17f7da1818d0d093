"""Images and documents that a request names by the id of a file: the model server gets the bytes."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import pytest
from serving import Model, ask, code, text, told
from test_bad_input import refused
from test_messages import OFFICIAL, post
from test_tools import PNG, offering, results, upload

PDF = b"%PDF-1.4\n%%EOF"


def named(kind: str, file_id: object, **more: Any) -> dict[str, Any]:
    return {"type": kind, "source": {"type": "file", "file_id": file_id}, **more}


def plain(content: Any, **more: Any) -> dict[str, Any]:
    """A request without tools."""
    body = ask([{"role": "user", "content": content}], **more)
    return {name: value for name, value in body.items() if name != "tools"}


def sent(model: Model) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = model.requests[0]["messages"][0]["content"]
    return content


def test_what_the_model_server_gets(http: httpx2.Client, model: Model) -> None:
    image = upload(http, "a.png", base64.b64decode(PNG), "application/octet-stream")
    pdf = upload(http, "a.pdf", PDF, "application/pdf")
    words = upload(http, "notes.txt", b"\xef\xbb\xbfhello", "text/plain")
    more = {
        "title": "Mine",
        "context": "c",
        "citations": {"enabled": True},
        "cache_control": {"type": "ephemeral"},
    }
    model.play([text("Seen.")])
    post(http, plain([named("image", image), named("document", pdf, **more), named("document", words)]))
    assert sent(model) == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {
            "type": "document",
            "source": {
                "type": "base64",
                "media_type": "application/pdf",
                "data": base64.b64encode(PDF).decode(),
            },
            **more,
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "hello"},
            "title": "notes.txt",
        },
    ]
    # They are counted, too.
    model.play(told({"input_tokens": 7}))
    counted = {name: value for name, value in plain([named("image", image)]).items() if name != "max_tokens"}
    assert http.post("/v1/messages/count_tokens", json=counted).json() == {"input_tokens": 7}
    assert sent(model)[0]["source"]["type"] == "base64"


def test_in_the_results_of_the_clients_tools(http: httpx2.Client, model: Model) -> None:
    image = upload(http, "a.png", base64.b64decode(PNG), "image/png")
    model.play([text("Seen.")])
    history = [
        {"role": "user", "content": "Look."},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [text("here"), named("image", image)],
                }
            ],
        },
    ]
    post(http, ask(history, tools=[{"name": "look", "input_schema": {"type": "object"}}]))
    (result,) = model.requests[0]["messages"][2]["content"]
    assert [part["type"] for part in result["content"]] == ["text", "image"]
    assert result["content"][1]["source"]["data"] == PNG


def test_in_a_document_that_is_made_up_of_blocks(http: httpx2.Client, model: Model) -> None:
    image = upload(http, "a.png", base64.b64decode(PNG), "image/png")
    model.play([text("Seen.")])
    source = {"type": "content", "content": [text("a chart"), named("image", image)]}
    post(http, plain([{"type": "document", "source": source}]))
    words, shown = sent(model)[0]["source"]["content"]
    assert (words, shown["source"]["data"]) == (text("a chart"), PNG)


def test_documents_lie_in_the_container(http: httpx2.Client, model: Model) -> None:
    table = upload(http, "table.csv", b"a,b\n1,2\n")
    model.play([code("print(open('table.csv').read())")], [text("One row.")])
    message = post(http, ask([{"role": "user", "content": [named("document", table)]}]), OFFICIAL)
    assert results(message)[0]["stdout"] == "a,b\n1,2\n\n"
    (told_of,) = sent(model)
    assert "table.csv (in the working directory" in told_of["text"]


def test_what_a_run_made_can_be_shown(http: httpx2.Client, model: Model) -> None:
    model.play(
        [code(f"import base64; open('a.png', 'wb').write(base64.b64decode('{PNG}'))")], [text("Made.")]
    )
    message = post(http, ask("Draw."), OFFICIAL)
    (made,) = results(message)[0]["content"]
    model.play([text("Seen.")])
    post(http, plain([named("image", made["file_id"])]))
    assert sent(model)[0]["source"]["data"] == PNG


def test_what_is_gone(http: httpx2.Client, model: Model) -> None:
    image = upload(http, "a.png", base64.b64decode(PNG), "image/png")
    http.delete(f"/v1/files/{image}")
    says = refused(http.post("/v1/messages", json=plain([named("image", image)])), 404, "not_found_error")
    assert says.startswith("messages.0.content.0.source.file_id: There is no file")
    assert not model.requests
    # In history it is told, and the conversation goes on.
    model.play([text("Pity.")])
    history = [
        {"role": "user", "content": [named("image", image), text("Look.")]},
        {"role": "assistant", "content": "I see."},
        {"role": "user", "content": "And?"},
    ]
    post(http, ask(history))
    assert sent(model)[0] == text(f"[The file {image} that was attached here is no longer there.]")


@pytest.mark.parametrize(
    ("kind", "name", "body", "says"),
    [
        ("image", "a.txt", b"words", "is text/plain, and an image is one of: image/gif"),
        ("image", "a.pdf", PDF, "is application/pdf, and an image is one of"),
        ("document", "a.png", base64.b64decode(PNG), "is image/png, and a document is a PDF or a text"),
    ],
)
def test_files_of_the_wrong_type(
    http: httpx2.Client, model: Model, kind: str, name: str, body: bytes, says: str
) -> None:
    file_id = upload(http, name, body, "application/octet-stream")
    assert says in refused(http.post("/v1/messages", json=plain([named(kind, file_id)])), 400)
    assert not model.requests


def test_no_id(http: httpx2.Client, model: Model) -> None:
    says = refused(http.post("/v1/messages", json=plain([named("image", 7)])), 400)
    assert says == "messages.0.content.0.source.file_id: Input should be a valid string"


def test_no_more_than_a_request_may_have(http: httpx2.Client, model: Model) -> None:
    # The server of these tests takes two million bytes.
    file_id = upload(http, "a.txt", b"x" * 1_500_000, "text/plain")
    model.play([text("Long.")])
    post(http, plain([named("document", file_id)]))
    answer = http.post("/v1/messages", json=plain([named("document", file_id)] * 2))
    says = refused(answer, 413, "request_too_large")
    assert says.startswith("messages.0.content.1.source.file_id: with 'a.txt' (1500000 bytes)")


def test_what_no_model_reads_is_left_for_code(http: httpx2.Client, model: Model) -> None:
    archive = upload(http, "a.bin", bytes(range(256)), "application/x-thing")
    model.play(
        [
            {
                "type": "tool_use",
                "id": "toolu_b",
                "name": "bash_code_execution",
                "input": {"command": "wc -c a.bin"},
            }
        ]
    )
    message = post(
        http, ask([{"role": "user", "content": [named("document", archive)]}], tools=offering("20260120"))
    )
    assert results(message)[0]["stdout"] == "256 a.bin\n"
