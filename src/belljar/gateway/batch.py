"""Many programs in one request: JSON lines in, JSON lines out, each as it finishes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import structlog
from starlette.types import Receive, Scope, Send

from belljar.batch import item_of
from belljar.errors import BelljarError
from belljar.gateway import executions
from belljar.gateway.activity import Activity
from belljar.gateway.envelope import envelope
from belljar.gateway.frame import json_bytes
from belljar.gateway.parts import Parts
from belljar.wire.execution import BatchLine, json_of

log = structlog.get_logger("belljar.gateway")

Emit = Callable[[BatchLine], Awaitable[None]]


async def answer(
    parts: Parts, lines: list[bytes], at_once: int, activity: Activity, runtime: str | None, emit: Emit
) -> None:
    """Run each line in a session of its own, `at_once` at a time; `emit` gets the answers as they finish. `runtime` is
    for lines that do not name one.

    A slow reader holds up what has not begun: no more than `at_once` answers wait for it. Cancelling interrupts all.
    """
    numbered = iter(enumerate(lines))

    async def work() -> None:
        for index, line in numbered:
            await emit(await _answered(parts, index, line, activity, runtime))

    with parts.telemetry.batches.track_inprogress():
        async with anyio.create_task_group() as tasks:
            for _ in range(min(at_once, len(lines))):
                tasks.start_soon(work)


async def _answered(
    parts: Parts, index: int, line: bytes, activity: Activity, runtime: str | None
) -> BatchLine:
    custom_id: str | None = None
    try:
        custom_id, item = item_of(line)
        if isinstance(item, BelljarError):
            raise item
        asked = item.model_copy(update={"custom_id": None})
        own = Activity(
            activity.request_id,
            activity.what,
            activity.client,
            meter=activity.meter,
            trace=activity.trace,
            timeline=activity.timeline,
        )
        async with activity.client.execution_in_turn():
            done = await executions.run(parts, asked, own, runtime)
        activity.has_run_code = True
        parts.telemetry.batch_executions.inc()
        return BatchLine(index=index, custom_id=custom_id, execution=done)
    except BelljarError as error:
        failed = envelope(error, activity.request_id)["error"]
    except Exception:  # the boundary of one line: the others go on
        log.exception("a line of a batch failed", tenant=activity.client.tenant, index=index)
        failed = {"type": "api_error", "message": "Internal server error; the server's log has the details."}
    parts.telemetry.batch_errors.inc()
    return BatchLine(index=index, custom_id=custom_id, error=failed)


class LineStream:
    """An ASGI answer of JSON lines that `produce(emit)` makes; after each `silence_seconds` without one, an empty line:
    clients and proxies give up on a connection on which nothing comes for long.
    """

    def __init__(self, produce: Callable[[Emit], Awaitable[None]], silence_seconds: float) -> None:
        self._produce = produce
        self._silence_seconds = silence_seconds
        self._sending = anyio.Lock()
        self._last_sent = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def emit(line: BatchLine) -> None:
            await self._send(send, json_bytes(json_of(line)) + b"\n")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._break_silence, send)
            await self._produce(emit)
            tasks.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _break_silence(self, send: Send) -> None:
        self._last_sent = anyio.current_time()
        while True:
            due = self._last_sent + self._silence_seconds
            if (now := anyio.current_time()) < due:
                await anyio.sleep(due - now)
            else:
                await self._send(send, b"\n")

    async def _send(self, send: Send, line: bytes) -> None:
        async with self._sending:  # one line waits for a slow client, and the others for their turn
            await send({"type": "http.response.body", "body": line, "more_body": True})
            self._last_sent = anyio.current_time()
