"""A stream of events to a client that asked for one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from starlette.types import Receive, Scope, Send

from belljar.errors import BelljarError
from belljar.gateway.activity import activity_of
from belljar.gateway.envelope import envelope
from belljar.gateway.frame import frame

PING_SECONDS = 10
"""Silence longer than this kills clients and proxies while code runs."""

Event = dict[str, Any]
Emit = Callable[[Event], Awaitable[None]]


class EventStream:
    """An ASGI answer that is written by `produce(emit)`.

    The status goes out with the first event, so that what fails before it is an ordinary error. Once it has
    gone out, a failure is an `error` event.
    """

    def __init__(self, produce: Callable[[Emit], Awaitable[None]], headers: dict[str, str]) -> None:
        self._produce = produce
        self._headers = headers | {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
        }
        self._lock = anyio.Lock()
        self._has_started = False
        self._last_sent = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        failure: BelljarError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._ping_while_silent, send)
            try:
                await self._produce(lambda event: self._send(send, frame(event)))
            except BelljarError as error:
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            if not self._has_started:
                raise failure
            await self._send(send, frame(envelope(failure, activity_of(scope).request_id)))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _ping_while_silent(self, send: Send) -> None:
        self._last_sent = anyio.current_time()
        while True:
            due = self._last_sent + PING_SECONDS
            if (now := anyio.current_time()) < due:
                await anyio.sleep(due - now)
            else:
                await self._send(send, frame({"type": "ping"}))

    async def _send(self, send: Send, data: bytes) -> None:
        async with self._lock:  # events of two tasks must not mix
            if not self._has_started:
                self._has_started = True
                headers = [(name.encode(), value.encode()) for name, value in self._headers.items()]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": data, "more_body": True})
            self._last_sent = anyio.current_time()
