"""A stream to the client: pings while it is silent, errors before and after it has begun."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from starlette.types import ASGIApp

from belljar.errors import Overloaded
from belljar.gateway import sse
from belljar.gateway.access import open_access
from belljar.gateway.envelope import Envelope, UnderWay
from belljar.gateway.store.sqlite import open_store
from belljar.gateway.telemetry import Telemetry
from belljar.gateway.usage import open_ledger

pytestmark = pytest.mark.anyio


async def answered(produce: Any) -> httpx2.Response:
    async with open_store(Path(":memory:")) as store:
        access = await open_access(store, 1000)
        stream = sse.EventStream(produce, {})
        async with open_ledger(store, None) as ledger:
            return await asked(Envelope(stream, access, 1000, {}, UnderWay(), Telemetry(), ledger))


async def asked(app: ASGIApp) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=app)
    with anyio.fail_after(20):
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.post("/")


async def test_pings_while_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
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

    answer = await answered(produce)
    events = [json.loads(line[6:])["type"] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[0] == "ping"
    assert "message_stop" in events


async def test_an_error_before_it_has_begun() -> None:
    async def produce(emit: sse.Emit) -> None:
        raise Overloaded("no place")

    answer = await answered(produce)
    assert answer.status_code == 529
    assert answer.json()["error"] == {"type": "overloaded_error", "message": "no place"}


@pytest.mark.parametrize("error", [Overloaded("no place"), ZeroDivisionError()])
async def test_an_error_after_it_has_begun(error: Exception) -> None:
    async def produce(emit: sse.Emit) -> None:
        await emit({"type": "message_start", "message": {}})
        raise error

    answer = await answered(produce)
    assert answer.status_code == 200
    last = json.loads(answer.text.strip().rpartition("data: ")[2])
    assert last["type"] == "error"
    assert last["request_id"] == answer.headers["request-id"]
    kind = "overloaded_error" if isinstance(error, Overloaded) else "api_error"
    assert last["error"]["type"] == kind
