"""Asks a model server again that is down or busy, as long as nothing of its answer has come."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import anyio
import structlog

from belljar.errors import UpstreamError
from belljar.gateway.upstream import Caller, Event, Model, Request, Traits, Upstream

log = structlog.get_logger("belljar.gateway")

_PASSING = frozenset({429, 502, 503, 529})
"""What may be over in a moment. After a time-out it is not known whether the server is still at work."""
_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 30
"""A server that wants more time is not waited for: the client is told, and decides."""


class RetryingUpstream:
    """`upstream`, asked up to `retries` times more. What it has begun to say is never asked for again."""

    def __init__(
        self,
        upstream: Upstream,
        retries: int,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._upstream = upstream
        self._retries = retries
        self._sleep = sleep

    @property
    def kind(self) -> str:
        return self._upstream.kind

    def traits(self, model_id: str) -> Traits:
        return self._upstream.traits(model_id)

    async def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        has_begun = False
        for attempt in range(self._retries + 1):
            try:
                async with aclosing(self._upstream.stream(request, caller)) as events:  # type: ignore[type-var]
                    async for event in events:
                        has_begun = True
                        yield event
                return
            except UpstreamError as error:
                wait = pause(attempt, error.retry_after)
                if has_begun or attempt == self._retries or error.status not in _PASSING or wait is None:
                    raise
                log.info(
                    "the upstream is asked again",
                    upstream=self.kind,
                    status=error.status,
                    attempt=attempt + 2,
                    seconds=round(wait, 2),
                )
            await self._sleep(wait)

    async def count_tokens(self, request: Request, caller: Caller) -> int | None:
        return await self._upstream.count_tokens(request, caller)

    async def models(self, caller: Caller) -> list[Model]:
        return await self._upstream.models(caller)

    async def model(self, model_id: str, caller: Caller) -> Model | None:
        return await self._upstream.model(model_id, caller)


def pause(attempt: int, retry_after: str | None) -> float | None:
    """Seconds before the next attempt: what the server asks for, and no less; None where that is too long."""
    asked = _seconds(retry_after)
    if asked is not None and asked > _LONGEST_SECONDS:
        return None
    own = min(_FIRST_SECONDS * 2**attempt, _LONGEST_SECONDS) * (0.5 + random.random() / 2)  # noqa: S311 - no secret
    return own if asked is None else max(0.0, asked)


def _seconds(retry_after: str | None) -> float | None:
    """The header, which is a number or a date; None where it is neither."""
    if retry_after is None:
        return None
    try:
        return float(retry_after)
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    return (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
