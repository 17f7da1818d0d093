"""Requests leave spans at a real receiver of OTLP over HTTP, and nobody waits for it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from collector import Collector, Seen
from serving import BreakOff, Model, Refusal, Server, ask, code, serving, text
from test_log import line_of

CLIENT = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "tracestate": "theirs=1"}
INTERNAL, SERVER, CLIENT_KIND = 1, 2, 3
NEWER = [{"type": "code_execution_20250825", "name": "code_execution"}]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@contextmanager
def traced(state: Path, model: Model, collector: str, **more: object) -> Iterator[Server]:
    upstream = f"anthropic:{model.url}"
    with serving(
        state, upstream=upstream, upstream_api_key="k", preload={}, otel_endpoint=collector, **more
    ) as it:
        yield it


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, the_model: Model, collector: Collector) -> Iterator[Server]:
    with traced(tmp_path_factory.mktemp("traced"), the_model, f"{collector.url}/v1/traces") as server:
        yield server


def post(url: str, path: str, body: Any, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    return httpx2.post(url + path, content=content, headers=headers, timeout=60)


def below(spans: list[Seen], parent: Seen) -> list[Seen]:
    return [span for span in spans if span.parent == parent.id]


def test_a_conversation_from_the_client_to_the_fork(own: Server, model: Model, collector: Collector) -> None:
    model.play([code("print(6 * 7)")], [text("It is 42.")])
    answer = post(own.url, "/v1/messages", ask("Go."), **CLIENT)
    assert answer.status_code == 200
    request, first, run, *_, second = spans = collector.of(answer.headers["request-id"], 6)
    assert len(spans) == 6
    assert {span.trace for span in spans} == {"ab" * 16}
    assert (request.name, request.kind, request.parent) == ("POST /v1/messages", SERVER, "cd" * 8)
    assert request.attributes["http.route"] == "/v1/messages"
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["belljar.container"] == answer.json()["container"]["id"]
    assert [request.attributes[f"belljar.{name}"] for name in ("turns", "executions", "input_tokens")] == [
        2,
        1,
        200,
    ]
    assert below(spans, request) == [first, second]
    for turn, reason in ((first, "tool_use"), (second, "end_turn")):
        assert (turn.name, turn.kind, turn.is_error) == ("chat model-1", CLIENT_KIND, False)
        seen = {name.removeprefix("gen_ai."): value for name, value in turn.attributes.items()}
        assert seen["provider.name"] == "anthropic"
        assert (seen["request.model"], seen["response.model"]) == ("model-1", "model-1-20260101")
        assert (seen["usage.input_tokens"], seen["usage.output_tokens"]) == (101, 10)
        assert (seen["usage.cache_read.input_tokens"], seen["response.finish_reasons"]) == (1, [reason])
    # The model server hears of the very turn.
    assert [headers["traceparent"].split("-")[1:3] for headers in model.headers] == [
        [request.trace, turn.id] for turn in (first, second)
    ]
    assert {headers["tracestate"] for headers in model.headers} == {"theirs=1"}
    assert (run.name, run.kind, run.parent) == ("execute_tool code_execution", INTERNAL, first.id)
    assert run.attributes["gen_ai.tool.name"] == "code_execution"
    assert run.attributes["belljar.outcome"] == "completed"
    assert run.attributes["belljar.wall_seconds"] > 0
    assert run.attributes["belljar.peak_memory_bytes"] > 0
    assert run.attributes["belljar.cpu_seconds"] >= 0
    session, program = below(spans, run)
    assert (session.name, program.name) == ("session", "run")
    assert session.attributes["belljar.session.made"] in {"parked", "forked"}
    assert program.start >= session.end
    assert program.end - program.start == pytest.approx(
        run.attributes["belljar.wall_seconds"] * 1e9, rel=0.01
    )
    assert first.end <= run.start <= second.start <= request.end
    assert collector.resources[0]["service.name"] == "belljar"


def test_a_session_that_is_made_while_the_request_waits(own: Server, collector: Collector) -> None:
    answer = post(own.url, "/v1/executions", {"code": "1/0", "limits": {"pids": 20}})
    spans = collector.of(answer.headers["request-id"], 5)
    request, run, session, fork, program = spans
    assert (request.parent, run.parent) == ("", request.id)
    assert (run.attributes["belljar.outcome"], run.is_error) == ("raised", False)
    assert (session.name, session.attributes["belljar.session.made"]) == ("session", "forked")
    assert (fork.name, fork.parent, program.name) == ("fork", session.id, "run")
    assert session.start <= fork.start < fork.end <= session.end <= program.start
    assert run.attributes["belljar.lap.fork"] > 0


def test_calls_side_by_side_and_lines_of_a_batch(own: Server, model: Model, collector: Collector) -> None:
    uses = [
        {"type": "tool_use", "id": "a", "name": "bash_code_execution", "input": {"command": "true"}},
        {
            "type": "tool_use",
            "id": "b",
            "name": "text_editor_code_execution",
            "input": {"command": "create", "path": "x", "file_text": "y"},
        },
    ]
    model.play(uses, [text("Done.")])
    answer = post(own.url, "/v1/messages", ask("Go.", tools=NEWER, stream=True))
    runs = [
        span for span in collector.of(answer.headers["request-id"], 6) if span.name.startswith("execute_tool")
    ]
    assert [run.attributes["gen_ai.tool.name"] for run in runs] == [
        "bash_code_execution, text_editor_code_execution"
    ]
    assert runs[0].attributes["belljar.calls"] == 2
    lines = "\n".join(json.dumps({"code": str(n)}) for n in range(3))
    answer = post(own.url, "/v1/executions/batch", lines)
    spans = collector.of(answer.headers["request-id"], 4)
    assert len(below(spans, spans[0])) == 3


def test_what_fails_says_so_without_words(own: Server, model: Model, collector: Collector) -> None:
    refusal = json.dumps({"error": {"type": "authentication_error", "message": "refused-marker"}})
    model.play(Refusal(401, refusal.encode()))
    answer = post(own.url, "/v1/messages", ask("prompt-marker"))
    assert "refused-marker" in answer.text
    request, turn = collector.of(answer.headers["request-id"], 2)
    assert (request.attributes["http.response.status_code"], request.is_error) == (401, False)
    assert (turn.attributes["error.type"], turn.is_error) == ("authentication_error", True)
    model.play(BreakOff([text("A beginning")], 2))
    answer = post(own.url, "/v1/messages", ask("prompt-marker"))
    request, turn = collector.of(answer.headers["request-id"], 2)
    assert (request.attributes["error.type"], request.is_error, turn.is_error) == ("502", True, True)
    answer = post(own.url, "/v1/nothing/path-marker", {})
    (request,) = collector.of(answer.headers["request-id"], 1)
    assert (request.name, "http.route" in request.attributes) == ("POST", False)
    assert not any("-marker" in span.words for span in collector.spans)


def test_a_client_that_does_not_sample_leaves_no_spans(
    own: Server, model: Model, collector: Collector
) -> None:
    model.play([text("Yes.")], [text("Yes.")])
    unsampled = f"00-{'ef' * 16}-{'12' * 8}-00"
    assert post(own.url, "/v1/messages", ask("Go."), traceparent=unsampled).status_code == 200
    assert model.headers[0]["traceparent"].startswith(f"00-{'ef' * 16}-")
    assert model.headers[0]["traceparent"].endswith("-00")
    # One whose header is none has a trace of its own.
    answer = post(own.url, "/v1/messages", ask("Go."), traceparent="00-nonsense")
    request, _ = collector.of(answer.headers["request-id"], 2)
    assert request.parent == ""
    assert not any(span.trace == "ef" * 16 for span in collector.spans)


def test_the_log_names_the_trace(own: Server) -> None:
    answer = post(own.url, "/v1/executions", {"code": "1"}, **CLIENT)
    assert line_of(own, answer)["trace"] == "ab" * 16


def test_without_spans_the_clients_trace_is_passed_on_as_it_is(http: httpx2.Client, model: Model) -> None:
    for sent, comes in (
        (CLIENT, CLIENT),
        ({"traceparent": f"00-{'0' * 32}-{'cd' * 8}-01"}, {}),
        ({"traceparent": "x" * 5000, "tracestate": "a=1"}, {}),
        ({"tracestate": "a=1"}, {}),
    ):
        model.play([text("Yes.")])
        assert http.post("/v1/messages", json=ask("Go."), headers=sent).status_code == 200
        seen = {name: value for name, value in model.headers[0].items() if name.startswith("trace")}
        assert seen == comes


def test_a_collector_that_is_not_there_is_said_once(tmp_path: Path, model: Model) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with traced(tmp_path, model, f"http://user:password-marker@127.0.0.1:{port}") as server:
        deadline = time.monotonic() + 60
        while "the collector takes no spans" not in server.log.read_text():
            assert post(server.url, "/v1/executions", {"code": "1"}).status_code == 200
            assert time.monotonic() < deadline
        for _ in range(3):
            assert post(server.url, "/v1/executions", {"code": "1"}).status_code == 200
        assert server.end() == 0
    said = server.log.read_text()
    lines = [json.loads(line) for line in said.splitlines()]
    told = [line for line in lines if "spans" in line["event"]]
    assert [line["event"] for line in told] == ["the collector takes no spans, and they are dropped"]
    assert told[0]["collector"] == f"http://127.0.0.1:{port}/"
    assert "password-marker" not in said


def test_a_collector_that_hangs_holds_up_nobody_and_comes_back(tmp_path: Path, model: Model) -> None:
    with Collector() as slow, traced(tmp_path, model, slow.url) as server:
        slow.status = 400
        slow.free.clear()
        for _ in range(20):
            assert post(server.url, "/v1/executions", {"code": "1"}).status_code == 200
        assert slow.spans == [], "they were answered, though nothing was taken"
        slow.free.set()
        deadline = time.monotonic() + 60
        while "the collector takes no spans" not in server.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        slow.status = 200
        later = post(server.url, "/v1/executions", {"code": "1"}).headers["request-id"]
        assert slow.of(later, 4)
        while "spans were dropped" not in server.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def start(tmp_path: Path, endpoint: str, before: str = "") -> subprocess.CompletedProcess[str]:
    program = f"{before}\nfrom belljar.cli import main\nmain()"
    environment = {"PATH": "/usr/bin:/bin", "BELLJAR_STATE_DIR": str(tmp_path), "BELLJAR_PORT": "0"}
    return subprocess.run(
        [sys.executable, "-c", program, "serve"],
        env=environment | {"BELLJAR_OTEL_ENDPOINT": endpoint},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_server_without_the_extra_says_what_installs_it(tmp_path: Path) -> None:
    ended = start(tmp_path, "http://127.0.0.1:4318", "import sys; sys.modules['opentelemetry'] = None")
    assert ended.returncode == 125
    assert "make setup-otel" in ended.stderr
    assert "pip install 'belljar[otel]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_endpoint_that_is_none_is_not_repeated(tmp_path: Path) -> None:
    ended = start(tmp_path, "grpc://user:password-marker@host:4317")
    assert ended.returncode == 125
    assert "BELLJAR_OTEL_ENDPOINT" in ended.stderr
    assert "password-marker" not in ended.stderr


def test_a_server_without_spans_imports_nothing_of_it(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom belljar.gateway import app, serve\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "[]"
