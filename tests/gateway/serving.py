"""A real server in a process of its own, and a model server on the loopback that says what a test tells it to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from official import faults

from belljar.gateway.turn import events_of

TOOL = {"type": "code_execution_20250522", "name": "code_execution"}
START_SECONDS = 120


@dataclass
class Server:
    url: str
    process: subprocess.Popen[str]
    log: Path

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def serving(state: Path, **settings: object) -> Iterator[Server]:
    """`belljar serve` on a free port, with the settings given; ended by SIGTERM."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("BELLJAR_", "ANTHROPIC_"))
    }
    wanted = {
        "state_dir": state,
        "port": 0,
        "upstream_retries": 0,  # a refusal is played once
        "preload": {
            "bare": [],
            "charts": ["numpy", "pandas", "matplotlib.pyplot", "matplotlib.backends.backend_agg"],
        },
        **settings,
    }
    for name, value in wanted.items():
        environment[f"BELLJAR_{name.upper()}"] = (
            value if isinstance(value, str) else json.dumps(value, default=str)
        )
    environment["BELLJAR_STATE_DIR"] = str(state)
    state.mkdir(parents=True, exist_ok=True)
    log = state / "server.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", "from belljar.cli import main; main()", "serve"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        url = process.stdout.readline().strip().removeprefix("Belljar listens on ")
        watchdog.cancel()
        assert url, f"the server did not start:\n{log.read_text()}"
        yield Server(url, process, log)
    finally:
        watchdog.cancel()
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is what a test is about, and nothing for stderr."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@dataclass
class Refusal:
    """The model server answers with no stream: an error, as a rule."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def told(document: object, status: int = 200) -> Refusal:
    """The model server answers with JSON."""
    return Refusal(status, json.dumps(document).encode(), {"content-type": "application/json"})


@dataclass
class BreakOff:
    """The model server closes the connection after so many events of this turn."""

    content: list[dict[str, Any]]
    events: int


@dataclass
class Events:
    """These events and no others."""

    events: Iterable[dict[str, Any]]


@dataclass
class Raw:
    """These bytes, and then the end of the connection."""

    pieces: list[bytes]


@dataclass
class Stall:
    """Nothing more comes after so many events of this turn, until the event is set."""

    until: threading.Event
    content: list[dict[str, Any]]
    events: int


@dataclass
class Wait:
    """Hold the answer back until the event is set."""

    until: threading.Event
    content: list[dict[str, Any]]


class Model:
    """Plays one turn for each request, and remembers the requests.

    `plays` says which from a request's path and body; without it a test says so ahead, by `play`.
    """

    def __init__(self, plays: Callable[[str, dict[str, Any] | None], Any] | None = None) -> None:
        self.plays = plays
        self.turns: deque[Any] = deque()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.faults: list[str] = []
        """What the official API would have refused."""
        self.server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    def __enter__(self) -> Model:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()
        assert self.faults == []

    def play(self, *turns: Any) -> None:
        self.turns = deque(turns)
        self.requests.clear()
        self.headers.clear()
        self.paths.clear()

    def turn(self, path: str, body: dict[str, Any] | None) -> Any:
        if self.plays:
            return self.plays(path, body)
        return self.turns.popleft() if self.turns else [text("the test has no more turns")]

    def lines(self, turn: Any) -> Iterator[bytes]:
        """The stream of a turn, in the server's own dialect."""
        if isinstance(turn, Raw):
            yield from turn.pieces
            return
        for event in _events(turn):
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                body = None
                if self.command == "POST":
                    body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                    model.requests.append(body)
                model.paths.append(self.path)
                model.headers.append({name.lower(): value for name, value in self.headers.items()})
                turn = model.turn(self.path, body)
                if self.path == "/v1/messages" and body is not None and (wrong := faults(body)):
                    model.faults += wrong
                    turn = told(_refused(wrong), 400)
                if isinstance(turn, Refusal):
                    self.send_response(turn.status)
                    for name, value in (turn.headers | {"content-length": str(len(turn.body))}).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(turn.body)
                    return
                self.close_connection = True
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.flush()
                for line in model.lines(turn):
                    self.wfile.write(line)
                    self.wfile.flush()
                if isinstance(turn, Stall):
                    turn.until.wait(60)

        return Handler


def _refused(wrong: list[str]) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "invalid_request_error", "message": "; ".join(wrong)}}


def _events(turn: Any) -> Iterator[dict[str, Any]]:
    if isinstance(turn, Events):
        yield from turn.events
    elif isinstance(turn, BreakOff | Stall):
        yield from list(events_of(said(turn.content), 10))[: turn.events]
    elif isinstance(turn, Wait):
        turn.until.wait(60)
        yield from events_of(said(turn.content), 10)
    elif isinstance(turn, dict):
        yield from events_of(turn, 10)
    else:
        yield from events_of(said(turn), 10)


def said(content: list[dict[str, Any]], stop_reason: str | None = None) -> dict[str, Any]:
    """A message of the model."""
    uses = any(block["type"] == "tool_use" for block in content)
    return {
        "id": "msg_upstream",
        "type": "message",
        "role": "assistant",
        "model": "model-1-20260101",
        "content": content,
        "stop_reason": stop_reason or ("tool_use" if uses else "end_turn"),
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 10, "cache_read_input_tokens": 1},
    }


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def code(source: str, use_id: str = "toolu_01a") -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": "code_execution", "input": {"code": source}}


def bash(command: str, use_id: str = "toolu_b") -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": "bash_code_execution", "input": {"command": command}}


def thinking(words: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": "signed"}


def ask(prompt: object, **more: object) -> dict[str, Any]:
    """A request with the code execution tool."""
    messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    return {"model": "model-1", "max_tokens": 1000, "messages": messages, "tools": [TOOL], **more}


def sse(
    lines: Iterator[str], on_event: Callable[[dict[str, Any]], None] | None = None
) -> list[dict[str, Any]]:
    """The events of a stream; the name of each has to be its type."""
    events, name = [], None
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            event = json.loads(line[6:])
            assert event["type"] == name
            events.append(event)
            if on_event:
                on_event(event)
    return events
