"""Requests under way: what the log, the meter and the shutdown know of each."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import structlog
from starlette.types import Scope

from belljar.gateway.access import Client
from belljar.gateway.files import now_microseconds
from belljar.gateway.timeline import R, Timeline
from belljar.gateway.usage import Meter

if TYPE_CHECKING:
    from belljar.gateway.spans import Trace

log = structlog.get_logger("belljar.gateway")

ACTIVITY = "belljar.activity"
"""Where it is in a request's scope."""
_LOOKS = frozenset({"GET /health", "GET /metrics", "GET /v1/runtimes"})
_BESIDE_SECONDS = 10


@dataclass
class Activity:
    """A request under way, as the log and the shutdown see it."""

    request_id: str
    what: str
    client: Client = field(default_factory=Client)
    """Whoever sends it, once that is known."""
    container_id: str | None = None
    has_run_code: bool = False
    meter: Meter = field(default_factory=lambda: Meter(now_microseconds()))
    trace: Trace | None = None
    """Its spans, where they are asked for."""
    timeline: Timeline = field(default_factory=Timeline)
    is_cut_short: bool = False
    is_listening: bool = False
    """The client waits for what there may be to tell: the server's end does not wait for that."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer, whatever it will be."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _beside: list[anyio.CancelScope] = field(default_factory=list)
    _beside_ended: anyio.Event = field(default_factory=anyio.Event)
    _is_over: bool = False

    @contextmanager
    def ending_with_it(self) -> Iterator[anyio.CancelScope]:
        """A block of another task, which is cancelled where the request ends before it."""
        with anyio.CancelScope() as scope:
            self._beside.append(scope)
            if self._is_over:
                scope.cancel()
            try:
                yield scope
            finally:
                self._beside.remove(scope)
                if not self._beside:
                    self._beside_ended.set()
                    self._beside_ended = anyio.Event()

    async def ended(self) -> None:
        """Nobody waits for an answer any more. Waits for what has to end with it: until then it uses something."""
        self._is_over = True
        for scope in self._beside:
            scope.cancel()
        with anyio.move_on_after(_BESIDE_SECONDS, shield=True):
            while self._beside:
                await self._beside_ended.wait()

    async def execution(
        self, tools: Sequence[str], running: Coroutine[Any, Any, R], *, is_metered: bool = True
    ) -> R:
        """The same, as a step of the request, and with its span where there are any.

        Its time is the request's, unless somebody else meters it: by the keeper's clock, or by ours where the run has
        no result because it was cut short.
        """
        traced = running if self.trace is None else self.trace.execution(tools, running)
        started = time.perf_counter()
        wall_seconds = None
        try:
            ran = await self.timeline.execution(tools, traced)
            wall_seconds = (ran[0] if isinstance(ran, list) else ran).result.usage.wall_seconds
        finally:
            if is_metered:
                self.meter.ran(time.perf_counter() - started if wall_seconds is None else wall_seconds)
        return ran


class UnderWay:
    """The requests under way."""

    def __init__(self) -> None:
        self._activities: dict[str, Activity] = {}
        self.used_at = time.monotonic()
        """When the last one has ended, of those that do more than ask how the server is."""
        self._emptied: anyio.Event | None = None

    def __len__(self) -> int:
        return len(self._activities)

    @contextmanager
    def track(self, activity: Activity) -> Iterator[None]:
        self._activities[activity.request_id] = activity
        try:
            yield
        finally:
            del self._activities[activity.request_id]
            if activity.what not in _LOOKS:
                self.used_at = time.monotonic()
            if self._emptied is not None and not self._activities:
                self._emptied.set()

    async def ended(self, seconds: float) -> None:
        """Wait for all of them to end, for so long at most."""
        if self._activities:
            self._emptied = anyio.Event()
            with anyio.move_on_after(seconds):
                await self._emptied.wait()

    def let_go(self) -> None:
        """End what only listens."""
        for activity in self._activities.values():
            if activity.is_listening:
                activity.is_cut_short = True
                activity.scope.cancel()

    def cut_short(self) -> None:
        """Cancel every request, and name it in the log."""
        for activity in self._activities.values():
            log.warning(
                "cut short by the shutdown",
                request_id=activity.request_id,
                what=activity.what,
                tenant=activity.client.tenant,
                container=activity.container_id,
            )
            activity.is_cut_short = True
            activity.scope.cancel()


def activity_of(scope: Scope) -> Activity:
    activity = scope[ACTIVITY]
    assert isinstance(activity, Activity)
    return activity
