"""Clients that stop reading: they hold up themselves and their model, and nobody else. Nothing is gathered for them."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
from serving import Events, Model, Server, ask, code, said, serving, sse, text

from belljar.gateway.turn import MessageFold, events_of

CLIENTS = 10
WORDS = " ".join(f"word-{number}" for number in range(60_000))
LINES = "".join(f"line {number}\n" for number in range(40_000))
SCRIPT = f"""
[[conversation]]
[[conversation.turn]]
text = "{WORDS}"
code = "for number in range(40_000):\\n    print('line', number)"
[[conversation.turn]]
text = "That was it: {WORDS}"
"""
DEADLINE_SECONDS = 120
PIECE = "x" * 65536
PIECES = 8192
"""Together half a gigabyte."""
MOST_BYTES = 64 * 1024 * 1024
"""What may lie between a model and a client that does not read: the kernel's buffers of two connections, and ours."""


class Stalled:
    """A client that reads the beginning of its answer, and then nothing for as long as it likes."""

    def __init__(self, server: Server, profile: str = "anthropic") -> None:
        host, _, port = server.url.removeprefix("http://").partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=DEADLINE_SECONDS)
        self._connection.sock = socket.socket()
        self._connection.sock.settimeout(DEADLINE_SECONDS)
        self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._connection.sock.connect((host, int(port)))
        body = json.dumps(ask("Go.", stream=True))
        self._connection.request("POST", "/v1/messages", body, {"belljar-profile": profile})
        self._answer = self._connection.getresponse()
        self._begun = self._answer.read(1)

    def rest(self) -> str:
        return (self._begun + self._answer.read()).decode()

    def hang_up(self) -> None:
        self._answer.close()
        self._connection.close()


def folded(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The content of a message, which has to be complete."""
    fold = MessageFold()
    for event in events:
        fold.add(event)
    assert fold.stopped
    return fold.result()["content"]


def assert_whole(content: list[dict[str, Any]]) -> None:
    first, use, result, last = content
    assert first["text"] == WORDS
    assert use["type"] == "server_tool_use"
    assert result["content"]["stdout"] == LINES
    assert last["text"] == f"That was it: {WORDS}"


def memory_bytes(server: Server, of: str) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(of)]
    return int(line.split()[1]) * 1024


def peak_bytes(server: Server) -> int:
    return memory_bytes(server, "VmHWM:")


def test_nine_lose_nothing_while_the_tenth_does_not_read(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text(SCRIPT)
    began = threading.Barrier(CLIENTS)

    def read(server: Server) -> list[dict[str, Any]]:
        headers = {"belljar-profile": "anthropic"}
        began.wait(DEADLINE_SECONDS)
        with (
            httpx2.Client(base_url=server.url, timeout=DEADLINE_SECONDS) as client,
            client.stream("POST", "/v1/messages", json=ask("Go.", stream=True), headers=headers) as answer,
        ):
            return folded(sse(answer.iter_lines()))

    with (
        serving(tmp_path / "state", upstream=f"scripted:{script}", preload={}) as server,
        ThreadPoolExecutor(CLIENTS - 1) as pool,
    ):
        reading = [pool.submit(read, server) for _ in range(CLIENTS - 1)]
        began.wait(DEADLINE_SECONDS)
        stalled = Stalled(server)
        for one in reading:
            assert_whole(one.result(DEADLINE_SECONDS))
        assert_whole(folded(sse(iter(stalled.rest().splitlines()))))


def test_a_model_is_held_up_by_who_does_not_read(tmp_path: Path, model: Model) -> None:
    written = 0
    ended = threading.Event()

    def endless() -> Iterator[dict[str, Any]]:
        nonlocal written
        try:
            yield {"type": "message_start", "message": said([])}
            yield {"type": "content_block_start", "index": 0, "content_block": text("")}
            for _ in range(PIECES):
                written += len(PIECE)
                delta = {"type": "text_delta", "text": PIECE}
                yield {"type": "content_block_delta", "index": 0, "delta": delta}
        finally:
            ended.set()

    with serving(tmp_path, upstream=f"anthropic:{model.url}", preload={}) as server:
        before = peak_bytes(server)
        model.play(Events(endless()))
        stalled = Stalled(server)
        # The others are answered, until in the time of several answers nothing more is taken from the model.
        is_still = 0
        while is_still < 3:
            seen = written
            model.turns.append(Events(list(events_of(said([text(WORDS)])))))
            answer = httpx2.post(f"{server.url}/v1/messages", json=ask("Go."), timeout=DEADLINE_SECONDS)
            assert answer.json()["content"] == [text(WORDS)]
            assert written < MOST_BYTES
            is_still = is_still + 1 if written == seen else 0
        assert not ended.is_set()
        stalled.hang_up()
        assert ended.wait(DEADLINE_SECONDS), "the model's connection is closed when nobody waits for it"
        assert peak_bytes(server) - before < MOST_BYTES


def test_what_clients_have_not_read_is_given_back_when_they_are_gone(tmp_path: Path, model: Model) -> None:
    """Three answers of 43 MB each, of which malloc kept most for later."""
    shown = "display({'image/png': os.urandom(7_900_000)}, raw=True)"
    source = f"import os\nfor _ in range(4):\n    {shown}"
    with serving(tmp_path, upstream=f"anthropic:{model.url}", preload={}) as server:
        before = memory_bytes(server, "VmRSS:")
        stalled, deadline = [], time.monotonic() + DEADLINE_SECONDS
        for _ in range(3):
            model.play([code(source)], [text("So.")])
            stalled.append(Stalled(server, "inline"))
            states = ["running"]
            while "running" in states:
                assert time.monotonic() < deadline
                time.sleep(0.05)
                found = httpx2.get(f"{server.url}/v1/containers").json()["data"]
                states = [one["state"] for one in found] or ["running"]
        deadline = time.monotonic() + DEADLINE_SECONDS
        for one in stalled:
            one.hang_up()
        while memory_bytes(server, "VmRSS:") > before + MOST_BYTES:
            assert time.monotonic() < deadline
            time.sleep(0.1)
