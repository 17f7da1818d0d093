"""Every status with its type, and what is on every answer whatever went wrong."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx2
import pytest
from serving import Events, Model, Refusal, Server, ask, code, sse, text, told

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def assert_enveloped(answer: httpx2.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["type"] == "error"
    assert document["request_id"] == answer.headers["request-id"]
    assert document["request_id"].startswith("req_")
    return document["error"]


@pytest.mark.parametrize("status", KINDS)
@pytest.mark.parametrize("stream", [False, True])
def test_what_an_upstream_refuses_is_passed_on(
    http: httpx2.Client, model: Model, status: int, stream: bool
) -> None:
    error = {"type": KINDS[status], "message": "for a reason"}
    model.play(told({"type": "error", "error": error}, status))
    answer = http.post("/v1/messages", json=ask("Hello.", stream=stream))
    assert assert_enveloped(answer, status) == error
    assert "x-should-retry" not in answer.headers, "no code ran: a client may well try again"


def test_what_an_upstream_tells_programs_is_passed_on(http: httpx2.Client, model: Model) -> None:
    """By the error code SDKs choose the class of an error."""
    error = {
        "type": "invalid_request_error",
        "message": "too large",
        "details": {"error_code": "image_dimensions_too_large"},
    }
    model.play(told({"type": "error", "error": error}, 400))
    assert assert_enveloped(http.post("/v1/messages", json=ask("Hello.")), 400) == error
    model.play(Events([{"type": "error", "error": error}]))
    assert assert_enveloped(http.post("/v1/messages", json=ask("Hello.", stream=True)), 400) == error
    model.play([code("print(1)")], Events([{"type": "error", "error": error}]))
    answer = http.post("/v1/messages", json=ask("Hello.", stream=True))
    assert sse(iter(answer.text.splitlines()))[-1]["error"] == error


@pytest.mark.parametrize("status", KINDS)
def test_an_upstream_with_types_of_its_own(http: httpx2.Client, model: Model, status: int) -> None:
    model.play(told({"error": {"type": "OurOwnError", "message": "for a reason"}}, status))
    answer = http.post("/v1/messages", json=ask("Hello."))
    assert assert_enveloped(answer, status) == {"type": KINDS[status], "message": "for a reason"}
    model.play(Refusal(status, b'{"detail": "for a reason"}'))
    error = assert_enveloped(http.post("/v1/messages", json=ask("Hello.")), status)
    assert error["type"] == KINDS[status]
    assert "for a reason" in error["message"]


def test_code_that_ran_is_not_to_be_run_again(http: httpx2.Client, model: Model) -> None:
    refusal = told({"type": "error", "error": {"type": "overloaded_error", "message": "later"}}, 529)
    model.play([code("print(1)")], refusal)
    answer = http.post("/v1/messages", json=ask("Go."))
    assert assert_enveloped(answer, 529)["type"] == "overloaded_error"
    assert answer.headers["x-should-retry"] == "false"
    # A stream has its 200 by then: what follows is an event, after which no client tries again.
    model.play([code("print(1)")], refusal)
    answer = http.post("/v1/messages", json=ask("Go.", stream=True))
    assert answer.status_code == 200
    last = sse(iter(answer.text.splitlines()))[-1]
    assert (last["type"], last["error"]["type"]) == ("error", "overloaded_error")
    assert last["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v2", 404, "not_found_error"),
        ("GET", "/v1/nothing", 404, "not_found_error"),
        ("POST", "/v1/skills", 404, "not_found_error"),
        ("GET", "/v1/files/file_x", 404, "not_found_error"),
        ("GET", "/%FF/%00", 404, "not_found_error"),
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("PATCH", "/v1/containers/x", 405, "invalid_request_error"),
        ("OPTIONS", "/v1/messages", 405, "invalid_request_error"),
        ("TRACE", "/health", 405, "invalid_request_error"),
        ("POST", "/v1/messages", 400, "invalid_request_error"),
    ],
)
def test_what_is_not_there(http: httpx2.Client, method: str, path: str, status: int, kind: str) -> None:
    assert assert_enveloped(http.request(method, path), status)["type"] == kind


def test_a_method_that_a_path_does_not_have_is_told_all_that_it_has(http: httpx2.Client) -> None:
    assert http.put("/v1/containers/x").headers["allow"] == "DELETE, GET, HEAD"
    assert http.get("/v1/messages").headers["allow"] == "POST"


def test_a_head_has_no_body_and_an_id(http: httpx2.Client) -> None:
    for path, status in (("/health", 200), ("/v1/nothing", 404), ("/v1/messages", 405)):
        answer = http.head(path)
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer.headers["request-id"].startswith("req_")


@pytest.mark.parametrize(
    "path",
    ["/v1/messages", "/v1/messages/count_tokens", "/v1/executions", "/v1/executions/batch", "/v1/containers"],
)
def test_a_body_that_is_too_large(http: httpx2.Client, path: str) -> None:
    answer = http.post(path, content=b"x" * 2_000_001)
    assert assert_enveloped(answer, 413)["type"] == "request_too_large"


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"])
def test_what_is_no_http(server: Server, sent: bytes) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(sent)
        head, _, body = b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    document = json.loads(body)
    assert status.startswith("HTTP/1.1 400 ")
    assert document["error"]["type"] == "invalid_request_error"
    assert document["request_id"] == headers["request-id"]


@pytest.mark.parametrize("version", ["2026-10-21", "2023-06-01", "2031-01-01", None])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages?beta=true"])
def test_versions_and_betas(http: httpx2.Client, model: Model, version: str | None, path: str) -> None:
    model.play([code("print(6 * 7)")], [text("It is 42.")])
    headers = {"anthropic-beta": "never-heard-of-2031-01-01"} | (
        {"anthropic-version": version} if version else {}
    )
    answer = http.post(path, json=ask("Go.", temperature=0.5), headers=headers)
    assert answer.status_code == 200
    assert answer.json()["content"][-1] == text("It is 42.")
    assert model.requests[0]["temperature"] == 0.5
    assert model.headers[0]["anthropic-version"] == "2023-06-01"
    assert model.headers[0]["anthropic-beta"] == "never-heard-of-2031-01-01"
    assert model.paths[0] == "/v1/messages"
