"""A clear error in the API's own envelope; nothing run and nothing lost."""

from __future__ import annotations

import base64
import gzip
import json
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest
from chatting import ChatModel
from engines import SEARCH
from serving import TOOL, BreakOff, Events, Model, Refusal, Server, ask, code, said, serving, text

from belljar.gateway import blocks
from belljar.wire.messages import MessageRequest

NEW_SEARCH = SEARCH | {"type": "web_search_20260209"}
BY_CODE = "code_execution_20260120"


def refused(answer: httpx2.Response, status: int, kind: str = "invalid_request_error") -> str:
    """The message of a refusal, whose form is checked."""
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert document["type"] == "error"
    assert document["error"]["type"] == kind
    assert document["request_id"] == answer.headers["request-id"]
    assert document["request_id"].startswith("req_")
    message = document["error"]["message"]
    assert isinstance(message, str)
    return message


def post(http: httpx2.Client, body: object, path: str = "/v1/messages") -> httpx2.Response:
    return http.post(path, json=body)


def document(title: object = "a.csv", data: str = "YQ==") -> dict[str, Any]:
    source = {"type": "base64", "media_type": "text/csv", "data": data}
    return {"type": "document", "source": source, "title": title}


def with_document(**parts: Any) -> dict[str, Any]:
    return ask([{"role": "user", "content": [text("Read."), document(**parts)]}])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"model": ', "line 1 column 11 (char 10)"),
        (b"[]", "JSON object"),
        (b'{"a": NaN}', "NaN"),
        (b"\xff\xfe", "UTF-8"),
        (b"", "line 1 column 1"),
        (b"[" * 100_000, "JSON"),
    ],
)
def test_broken_json(http: httpx2.Client, body: bytes, says: str) -> None:
    assert says in refused(http.post("/v1/messages", content=body), 400)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": None}, "model: Input should be a valid string"),
        ({"max_tokens": "many"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
        ({"messages": []}, "messages: List should have at least 1 item"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role: Input should be"),
        (
            {"messages": [{"role": "user", "content": 1}]},
            "messages.0.content: Input should be a valid string or a list",
        ),
        (
            {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
            "messages.0.content.0.type: Field required",
        ),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content.0: Input should be"),
        ({"stream": "yes"}, "stream: Input should be a valid boolean"),
        ({"tool_choice": {"type": {}}}, "tool_choice.type: Input should be"),
        (
            {"tools": [{"name": "a", "input_schema": []}]},
            "tools.0.input_schema: Input should be a valid dictionary",
        ),
        ({"container": {"id": "container_1"}}, "container: Input should be a valid string"),
        ({"container": 5}, "container: Input should be a valid string"),
        ({"container": {"id": 5}}, "container.id: Input should be a valid string"),
        (
            {"tools": [{"type": "code_execution_20991231", "name": "code_execution"}]},
            "code_execution_20250522",
        ),
        ({"tools": [{"type": "code_execution_20250522", "name": "python"}]}, "tools.0.name"),
        ({"tools": [TOOL, {"type": "web_fetch_20250910", "name": "web_fetch"}]}, "does not fetch pages"),
        ({"tools": [SEARCH | {"type": "web_search_20990101"}]}, "web_search_20260318"),
        ({"tools": [SEARCH | {"name": "search"}]}, "tools.0.name"),
        ({"tools": [SEARCH, SEARCH]}, "tools.1.name"),
        ({"tools": [SEARCH | {"max_uses": 0}]}, "tools.0.max_uses"),
        ({"tools": [SEARCH | {"max_uses": True}]}, "tools.0.max_uses"),
        ({"tools": [SEARCH | {"max_uses": 1.5}]}, "tools.0.max_uses"),
        ({"tools": [SEARCH | {"allowed_domains": "a.com"}]}, "tools.0.allowed_domains"),
        ({"tools": [SEARCH | {"blocked_domains": [1]}]}, "tools.0.blocked_domains"),
        ({"tools": [SEARCH | {"allowed_domains": ["a.com"], "blocked_domains": ["b.com"]}]}, "cannot both"),
        ({"tools": [SEARCH | {"user_location": {"city": "Oslo"}}]}, "tools.0.user_location"),
        ({"tools": [SEARCH | {"user_location": {"type": "approximate", "city": 1}}]}, "user_location.city"),
        ({"tools": [SEARCH | {"allowed_callers": [BY_CODE]}]}, "is for the model only"),
        ({"tools": [NEW_SEARCH | {"allowed_callers": [BY_CODE]}]}, "needs a code execution tool"),
        ({"tools": [TOOL, NEW_SEARCH | {"allowed_callers": [BY_CODE]}]}, "needs a code execution tool"),
        ({"tools": [NEW_SEARCH | {"response_inclusion": "some"}]}, "tools.0.response_inclusion"),
        ({"tools": [TOOL, {"name": "code_execution", "input_schema": {}}]}, "tools.1.name"),
    ],
)
def test_a_wrong_field_is_named(http: httpx2.Client, model: Model, change: dict[str, Any], says: str) -> None:
    assert says in refused(post(http, ask("Hello.") | change), 400)
    assert not model.requests


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 400 + ".0"])
@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"temperature": "N"}, "temperature"),
        ({"tools": [{"name": "own", "input_schema": {"enum": [1e308, "N"]}}]}, "tools.0.input_schema.enum.1"),
    ],
)
def test_a_number_that_is_too_large_is_named(
    http: httpx2.Client, model: Model, change: dict[str, Any], at: str, number: str, path: str
) -> None:
    body = json.dumps(ask("Hello.") | change).replace('"N"', number)
    assert refused(http.post(path, content=body), 400) == f"{at}: Input should be a finite number"
    assert not model.requests


STRING, OBJECT = "Input should be a valid string", "Input should be a valid dictionary"
EITHER = "Input should be a valid string or a list of content blocks"


def result(*content: object, **more: object) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": list(content), **more}


def image(source: object) -> dict[str, Any]:
    return {"type": "image", "source": source}


def parts(*content: object) -> dict[str, Any]:
    return {"type": "document", "source": {"type": "content", "content": list(content)}}


def use(kind: str = "tool_use", **more: object) -> dict[str, Any]:
    return {"type": kind, "id": "toolu_1", "name": "own", "input": {}, **more}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize(
    ("block", "says"),
    [
        (result("plain string"), f"content.0: {OBJECT}"),
        (result(content={}), f"content: {EITHER}"),
        (result({"type": []}), f"content.0.type: {STRING}"),
        (result(text("a"), image("x")), f"content.1.source: {OBJECT}"),
        (result({"type": "text", "text": ["a"]}), f"content.0.text: {STRING}"),
        (result(tool_use_id=["toolu_1"]), f"tool_use_id: {STRING}"),
        (image("x"), f"source: {OBJECT}"),
        (image([]), f"source: {OBJECT}"),
        (image({"type": {}}), f"source.type: {STRING}"),
        (image({"type": "file", "file_id": 1}), f"source.file_id: {STRING}"),
        (image({"type": "file", "file_id": "\ud800"}), "source.file_id: '\\ud800' is not valid Unicode"),
        ({"type": "document", "source": "x"}, f"source: {OBJECT}"),
        (parts("x"), f"source.content.0: {OBJECT}"),
        (parts({"type": {}}), f"source.content.0.type: {STRING}"),
        (parts(image(["x"])), f"source.content.0.source: {OBJECT}"),
        ({"type": "search_result", "source": "a", "content": ["b"]}, f"content.0: {OBJECT}"),
        ({"type": "search_result", "source": "a", "content": [], "citations": "b"}, f"citations: {OBJECT}"),
        ({"type": "container_upload", "file_id": ["x"]}, f"file_id: {STRING}"),
        ({"type": "container_upload", "file_id": "\ud800"}, "file_id: '\\ud800' is not valid Unicode"),
        (use(id=["x"]), f"id: {STRING}"),
        (use(name={}), f"name: {STRING}"),
        (use(input="x"), f"input: {OBJECT}"),
        (use("server_tool_use", id={}), f"id: {STRING}"),
        (use("server_tool_use", name=[]), f"name: {STRING}"),
        ({"type": "code_execution_tool_result", "tool_use_id": {}, "content": {}}, f"tool_use_id: {STRING}"),
        ({"type": "web_search_tool_result", "tool_use_id": [], "content": []}, f"tool_use_id: {STRING}"),
        ({"type": "code_execution_result", "output": "x"}, f"output: {OBJECT}"),
        ({"type": "of another type", "id": []}, f"id: {STRING}"),
    ],
)
def test_a_block_of_a_wrong_shape_is_named(
    http: httpx2.Client, model: Model, block: dict[str, Any], says: str, path: str
) -> None:
    is_said = block["type"] in {"tool_use", "server_tool_use"} or block["type"].startswith(("code_", "web_"))
    history = [{"role": "user", "content": "Go."}, {"role": "assistant", "content": [text("a"), block]}]
    messages = (
        [*history, {"role": "user", "content": "On."}] if is_said else [{"role": "user", "content": [block]}]
    )
    at = "messages.1.content.1" if is_said else "messages.0.content.0"
    body = json.dumps(ask(messages))
    assert refused(http.post(path, content=body), 400) == f"{at}.{says}"
    assert not model.requests


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"output_config": "high"}, f"output_config: {OBJECT}"),
        ({"output_config": {"effort": []}}, f"output_config.effort: {STRING}"),
        ({"output_config": {"format": "json"}}, f"output_config.format: {OBJECT}"),
        ({"system": [{"type": "text", "text": 1}]}, f"system.0.text: {STRING}"),
    ],
)
def test_a_field_of_a_wrong_shape_is_named(
    http: httpx2.Client, model: Model, change: dict[str, Any], says: str
) -> None:
    assert refused(post(http, ask("Hello.") | change), 400) == says
    assert not model.requests


def test_shapes_that_are_right() -> None:
    """Null is nothing, and what nobody here knows may be anything."""
    known: list[dict[str, Any]] = [
        result(
            text("a"), image({"type": "url", "url": "https://example.org"}), {"type": "new", "source": []}
        ),
        result(content=None),
        result(content="a"),
        {"type": "tool_result", "tool_use_id": "toolu_1"},
        parts(text("a")),
        {"type": "document", "source": {"type": "content", "content": "a"}, "citations": {"enabled": True}},
        {"type": "search_result", "source": "a", "title": "b", "content": [text("c")]},
        {"type": "new", "name": {}, "source": "a", "content": 1, "output": [], "text": {}},
        {"type": "tool_reference", "tool_name": "own"},
        use("mcp_tool_use", server_name="a"),
        {"type": "web_search_tool_result", "tool_use_id": "a", "content": {"error_code": "unavailable"}},
        {"type": "text", "text": "a", "citations": None, "cache_control": None},
    ]
    more = {"output_config": None, "system": None, "a field": "of another type"}
    for content in ("a", [], known):
        blocks.check(MessageRequest.model_validate(ask([{"role": "user", "content": content}]) | more))
    config = {"effort": "high", "format": {"type": "json_schema", "schema": {}}, "more": []}
    blocks.check(MessageRequest.model_validate(ask("a", output_config=config, system=[text("b")])))


def test_a_file_of_half_a_character(http: httpx2.Client) -> None:
    body = json.dumps({"code": "1", "files": [{"name": "a", "file_id": "\ud800"}]})
    says = refused(http.post("/v1/executions", content=body), 400)
    assert says == "files.0.file_id: '\\ud800' is not valid Unicode"


def test_a_missing_field_is_named(http: httpx2.Client) -> None:
    body = ask("Hello.")
    del body["max_tokens"]
    assert refused(post(http, body), 400) == "max_tokens: Field required"


def test_a_title_that_is_no_text(http: httpx2.Client, model: Model) -> None:
    says = refused(post(http, with_document(title=7)), 400)
    assert says == "messages.0.content.1.title: Input should be a valid string"
    assert not model.requests


@pytest.mark.parametrize("name", ["../a", "..", ".", "a/b", "a\0b", "a\nb", "x" * 300, 7, "\ud800"])
def test_names_that_no_file_can_have(http: httpx2.Client, name: object) -> None:
    body = {"code": "1", "files": [{"name": name, "data": "YQ=="}]}
    says = refused(http.post("/v1/executions", content=json.dumps(body)), 400)
    assert says.startswith("files.0.name: ")


@pytest.mark.parametrize("data", ["YQ", "Y!==", "é", "YQ==YQ=="])
def test_bad_base64(http: httpx2.Client, model: Model, data: str) -> None:
    assert refused(post(http, with_document(data=data)), 400).startswith(
        "messages.0.content.1.source.data: not valid"
    )
    body = {"code": "1", "files": [{"name": "a", "data": data}]}
    assert refused(post(http, body, "/v1/executions"), 400).startswith("files.0.data: not valid base64")
    assert not model.requests


@pytest.mark.parametrize("name", ["memory_bytes", "pids", "disk_bytes", "output_bytes", "cpus"])
@pytest.mark.parametrize("value", [0, -1])
def test_limits_out_of_range(http: httpx2.Client, name: str, value: int) -> None:
    for path, rest in (("/v1/executions", {"code": "1"}), ("/v1/containers", {})):
        says = refused(post(http, {**rest, "limits": {name: value}}, path), 400)
        assert says.startswith(f"limits.{name}: Input should be greater than or equal to")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "code: Field required"),
        ({"code": "1", "language": "ruby"}, "language: "),
        ({"code": "1", "timeout_seconds": 0}, "timeout_seconds: Input should be greater than 0"),
        ({"code": "1", "timeout_seconds": -3}, "timeout_seconds: "),
        ({"code": "1", "colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"code": "1", "limits": {"speed": 1}}, "limits.speed: Extra inputs are not permitted"),
        ({"code": "1", "files": [{"name": "a"}]}, "files.0: give either"),
        (
            {"code": "1", "files": [{"name": "a", "data": "YQ=="}, {"name": "a", "data": "Yg=="}]},
            "files.1.name",
        ),
    ],
)
def test_executions(http: httpx2.Client, body: dict[str, Any], says: str) -> None:
    assert says in refused(post(http, body, "/v1/executions"), 400)


def test_what_is_not_there(http: httpx2.Client, model: Model) -> None:
    kind = "not_found_error"
    for stream in (False, True):
        body = ask("Hello.", container="container_x", stream=stream)
        assert "container_x" in refused(post(http, body), 404, kind)
    assert "container_x" in refused(
        post(http, {"code": "1", "container": "container_x"}, "/v1/executions"), 404, kind
    )
    refused(http.get("/v1/containers/container_x"), 404, kind)
    refused(http.delete("/v1/containers/container_x"), 404, kind)
    refused(http.get("/v1/files/file_x"), 404, kind)
    refused(http.get("/v1/files/file_x/content"), 404, kind)
    refused(http.delete("/v1/files/file_x"), 404, kind)
    files = [{"name": "a", "file_id": "file_x"}]
    refused(post(http, {"code": "1", "files": files}, "/v1/executions"), 404, kind)
    refused(http.get("/v2/nothing"), 404, kind)
    refused(http.post("/v1/messages/", content=b"{}"), 404, kind)
    assert "GET /v1/messages" in refused(http.get("/v1/messages"), 405)
    assert not model.requests


def test_an_unknown_profile(http: httpx2.Client, model: Model) -> None:
    answer = http.post("/v1/messages", json=ask("Hello."), headers={"belljar-profile": "fancy"})
    assert "anthropic, inline" in refused(answer, 400)
    assert not model.requests


def test_a_thread(http: httpx2.Client) -> None:
    answer = post(http, {"model": "m", "max_tokens": 1, "messages": [], "thread": {"type": "create"}})
    refused(answer, 400)
    assert answer.json()["error"]["details"] == {"error_code": "thread_unsupported_request"}


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit(http: httpx2.Client, announced: bool) -> None:
    piece = b"x" * 100_000
    content = piece * 21 if announced else iter([piece] * 21)
    assert "2000000" in refused(http.post("/v1/messages", content=content), 413, "request_too_large")


def test_an_upstream_that_refuses(http: httpx2.Client, model: Model) -> None:
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    for stream in (False, True):
        model.play(Refusal(429, json.dumps(error).encode(), {"retry-after": "7"}))
        answer = post(http, ask("Hello.", stream=stream))
        assert refused(answer, 429, "rate_limit_error") == "slow down"
        assert answer.headers["retry-after"] == "7"
        assert "x-should-retry" not in answer.headers
    model.play(Refusal(500, b"<html>oops</html>"))
    assert "oops" in refused(post(http, ask("Hello.")), 500, "api_error")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"choices": []}, "no message"),
        ({"type": "message", "role": "assistant", "content": "hello"}, "no message"),
        ({"error": {"type": "overloaded_error", "message": "busy"}}, "busy"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_that_answers_something_else(
    http: httpx2.Client, model: Model, document: dict[str, object], said: str, stream: bool
) -> None:
    model.play(Refusal(200, json.dumps(document).encode(), {"content-type": "application/json"}))
    answer = post(http, ask("Hello.", stream=stream))
    assert answer.status_code in (502, 529)
    assert said in answer.json()["error"]["message"]


def test_an_upstream_that_breaks_off(http: httpx2.Client, model: Model) -> None:
    model.play(BreakOff([text("one two three four")], 1))
    assert "broke off" in refused(post(http, ask("Hello.")), 502, "api_error")
    model.play([code("print(1)")], BreakOff([text("one two three four")], 4))
    answer = post(http, ask("Hello."))
    assert "broke off" in refused(answer, 502, "api_error")
    assert answer.headers["x-should-retry"] == "false"
    model.play(BreakOff([text("one two three four")], 4))
    answer = post(http, ask("Hello.", stream=True))
    assert answer.status_code == 200
    last = answer.text.strip().rpartition("\n\n")[2]
    assert last.startswith("event: error\ndata: ")
    told = json.loads(last.partition("data: ")[2])
    assert told["error"]["type"] == "api_error"
    assert told["request_id"] == answer.headers["request-id"]
    assert "message_stop" not in answer.text


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "x"}}],
        [{"type": "message_start", "message": said([])}, {"type": "content_block_start", "index": 0}],
        [{"type": "error", "error": {"type": "overloaded_error", "message": "too much"}}],
    ],
)
def test_an_upstream_that_makes_no_sense(
    http: httpx2.Client, model: Model, events: list[dict[str, Any]]
) -> None:
    model.play(Events(events))
    answer = post(http, ask("Hello."))
    assert answer.status_code in {502, 529}
    assert answer.json()["error"]["type"] in {"api_error", "overloaded_error"}


def test_an_upstream_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        upstream = f"anthropic:http://user:secret@127.0.0.1:{port}/base"
        with (
            serving(tmp_path, upstream=upstream, preload={}) as server,
            httpx2.Client(base_url=server.url) as http,
        ):
            for stream in (False, True):
                says = refused(post(http, ask("Hello.", stream=stream)), 503, "api_error")
                assert f"http://127.0.0.1:{port}/base/v1/messages" in says
                assert "secret" not in says


def test_a_message_of_nothing_with_a_container_for_a_model_that_is_told_of_it(tmp_path: Path) -> None:
    with (
        ChatModel(lambda path, body: [text("What?")]) as chat,
        serving(tmp_path, upstream=f"openai:{chat.url}", preload={}, parked=0) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        container = http.post("/v1/containers", json={}).json()["id"]
        http.put(f"/v1/containers/{container}/files/a.txt", content=b"a").raise_for_status()
        body = ask([{"role": "user", "content": []}], container=container)
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            assert post(http, body, path).status_code < 500
        assert "Traceback" not in server.log.read_text()


def test_nothing_of_it_was_lost(http: httpx2.Client, server: Server) -> None:
    """After all of that, the server is as it was. (Runs last in this file.)"""
    health = http.get("/health").json()
    assert health["status"] == "ok"
    data = base64.b64encode(b"7").decode()
    body = {"code": "print(open('n').read())", "files": [{"name": "n", "data": data}]}
    assert post(http, body, "/v1/executions").json()["stdout"] == "7\n"
    assert "a request failed" not in server.log.read_text()


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/executions"), ("POST", "/v1/files")])
def test_a_body_that_is_compressed(http: httpx2.Client, method: str, path: str) -> None:
    body = gzip.compress(b'{"code": "print(1)"}')
    answer = http.request(method, path, content=body, headers={"content-encoding": "gzip"})
    assert "gzip" in refused(answer, 415)
    plain = {"content-encoding": "identity"}
    done = http.post("/v1/executions", content=b'{"code": "print(1)"}', headers=plain)
    assert done.json()["stdout"] == "1\n"
