"""A stream to the client: pings while it is silent, errors before and after it has begun."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from starlette.types import ASGIApp

from belljar.errors import Overloaded
from belljar.gateway import sse
from belljar.gateway.access import Access, open_access
from belljar.gateway.activity import UnderWay
from belljar.gateway.bodies import InHand
from belljar.gateway.envelope import Envelope
from belljar.gateway.frame import json_bytes
from belljar.gateway.store.sqlite import open_store
from belljar.gateway.telemetry import Telemetry
from belljar.gateway.timeline import Timelines
from belljar.gateway.usage import Ledger, open_ledger

pytestmark = pytest.mark.anyio


def _read_whole(method: str, path: str) -> None:
    """Of no request the body is read as it comes in."""


def _envelope(app: ASGIApp, access: Access, ledger: Ledger, silence_seconds: float) -> Envelope:
    room, telemetry = InHand(1000), Telemetry()
    return Envelope(
        app, access, 1000, room, _read_whole, UnderWay(), telemetry, ledger, Timelines(), silence_seconds
    )


async def answered(produce: Any, place: Path) -> httpx2.Response:
    async with open_store(place / "store") as store:
        access = await open_access(store, 1000)
        stream = sse.EventStream(produce, {})
        async with open_ledger(store, None) as ledger:
            return await asked(_envelope(stream, access, ledger, 60))


async def asked(app: ASGIApp) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=app)
    with anyio.fail_after(20):
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.post("/")


async def test_pings_while_nothing_comes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sse, "PING_SECONDS", 0.001)
    pinged = anyio.Event()
    frame = sse.frame

    def watched(event: dict[str, Any]) -> bytes:
        if event["type"] == "ping":
            pinged.set()
        return frame(event)

    monkeypatch.setattr(sse, "frame", watched)

    async def produce(emit: sse.Emit) -> None:
        await pinged.wait()
        await emit({"type": "message_stop"})

    answer = await answered(produce, tmp_path)
    events = [json.loads(line[6:])["type"] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[0] == "ping"
    assert "message_stop" in events


async def test_an_error_before_it_has_begun(tmp_path: Path) -> None:
    async def produce(emit: sse.Emit) -> None:
        raise Overloaded("no place")

    answer = await answered(produce, tmp_path)
    assert answer.status_code == 529
    assert answer.json()["error"] == {"type": "overloaded_error", "message": "no place"}


@pytest.mark.parametrize("error", [Overloaded("no place"), ZeroDivisionError()])
async def test_an_error_after_it_has_begun(error: Exception, tmp_path: Path) -> None:
    async def produce(emit: sse.Emit) -> None:
        await emit({"type": "message_start", "message": {}})
        raise error

    answer = await answered(produce, tmp_path)
    assert answer.status_code == 200
    last = json.loads(answer.text.strip().rpartition("data: ")[2])
    assert last["type"] == "error"
    assert last["request_id"] == answer.headers["request-id"]
    kind = "overloaded_error" if isinstance(error, Overloaded) else "api_error"
    assert last["error"]["type"] == kind


async def test_a_client_that_stops_in_the_middle_of_its_request(tmp_path: Path) -> None:
    """Nobody waits for it for ever, and it is told so."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not sent:
            sent.append({})
            return {"type": "http.request", "body": b"{", "more_body": True}
        await anyio.sleep_forever()
        raise AssertionError

    answered: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        answered.append(message)

    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("a request that is not complete is not answered by the application")

    scope = {"type": "http", "method": "POST", "path": "/v1/messages", "headers": [(b"content-length", b"9")]}
    async with open_store(tmp_path / "store") as store:
        access = await open_access(store, 1000)
        async with open_ledger(store, None) as ledger:
            envelope = _envelope(never, access, ledger, 0.05)
            with anyio.fail_after(20):
                await envelope(scope, receive, send)
    assert answered[0]["status"] == 408
    assert (b"connection", b"close") in answered[0]["headers"]
    error = json.loads(answered[1]["body"])["error"]
    assert error["type"] == "timeout_error"
    assert "0.05 seconds" in error["message"]


@pytest.mark.parametrize("half", ["", " \ud800"])
def test_an_event_is_one_line_whoever_counts_the_lines(half: str) -> None:
    text = f"a\u2028b\u2029c\x85d\x1ce\x0bf\r\ng é{half}"
    written = sse.frame({"type": "ping", "text": text}).decode()
    assert written.splitlines() == written.split("\n")[:-1]
    assert json.loads(written.strip().rpartition("data: ")[2])["text"] == text
    assert "é" in written


def test_what_is_nested_deeply_is_written_as_well() -> None:
    """What a model wants a caller's tool to be given may be."""
    nested: list[Any] = []
    for _ in range(500):
        nested = [nested]
    written = sse.frame({"type": "ping", "nested": nested}).decode()
    assert json.loads(written.strip().rpartition("data: ")[2])["nested"] == nested


@pytest.mark.parametrize("character", ["x", "é", "\u4e00"])
def test_a_large_answer_is_not_held_as_text_besides(character: str) -> None:
    document = {"data": character * 10_000_000}
    size = len(json_bytes(document))
    tracemalloc.start()
    try:
        json_bytes(document)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * size
    finally:
        tracemalloc.stop()
