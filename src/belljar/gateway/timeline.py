"""What a request did and when: its turns, its executions, and what came before the code of each.

Kept for a while, so that whoever sent the request can look at it by its id.

Times are the gateway's own clock's; those below an execution are the keeper's, put one behind the other.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from belljar.errors import BelljarError, NotFound
from belljar.gateway.tools import Ran
from belljar.gateway.usage import Meter
from belljar.wire.resources import RequestDocument, RequestStep, RequestUsage, rfc3339

R = TypeVar("R", Ran, list[Ran])

MOST_STEPS = 500
"""Of one request: a batch has as many executions as lines."""
MOST_KEPT = 200
"""Requests of one tenant, the last ones."""
_NAME_CHARS = 200
"""Of what a client or a model server calls something."""
_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@dataclass(frozen=True)
class Lap:
    """A part of an execution, by the keeper's clock; times in milliseconds since the execution's begin."""

    kind: Literal["session", "fork", "run"]
    begins: float
    taken: float
    below: int | None = None
    """The number of the lap that it is a part of."""
    made: Literal["parked", "forked"] | None = None
    """How a session came to be."""


def laps_of(laps: dict[str, float]) -> list[Lap]:
    """The parts of an execution, out of the keeper's laps in milliseconds."""
    found: list[Lap] = []
    at = 0.0
    if (session := laps.get("session")) is not None:
        is_parked = "parked.guest" in laps
        found.append(Lap("session", at, session, made="parked" if is_parked else "forked"))
        if not is_parked and (guest := laps.get("guest")) is not None:
            # The last of its steps: from the order to fork until the guest is locked in.
            found.append(Lap("fork", at + max(0.0, session - guest), guest, below=0))
        at += session
    elif (guest := laps.get("guest")) is not None:  # anew, in a session that has lost its own
        found.append(Lap("fork", at, guest))
        at += guest
    if (run := laps.get("run")) is not None:
        found.append(Lap("run", at, run))
    return found


@dataclass
class Timeline:
    """The steps of one request, as far as they have come."""

    started: float = field(default_factory=time.perf_counter)
    steps: list[RequestStep] = field(default_factory=list)
    is_whole: bool = True
    _asking: int | None = None
    """The number of the turn below which executions lie."""

    @property
    def now(self) -> float:
        """Milliseconds since the request came."""
        return (time.perf_counter() - self.started) * 1000

    @contextmanager
    def turn(self, model: object) -> Iterator[RequestStep]:
        """A block in which the upstream is asked once. Executions from then on lie below it."""
        step = RequestStep(kind="turn", name=str(model)[:_NAME_CHARS], begins_ms=self.now)
        self._asking = self._begin(step)
        with self._ended(step):
            yield step

    async def execution(self, tools: Sequence[str], running: Coroutine[Any, Any, R]) -> R:
        """What `running` comes to, as a step: a run of code, or of calls of several tools side by side."""
        name = ", ".join(dict.fromkeys(tools))
        step = RequestStep(
            kind="execution", name=name, below=self._asking, begins_ms=self.now, calls=len(tools)
        )
        place = self._begin(step)
        with self._ended(step):
            ran = await running
        result = (ran[0] if isinstance(ran, list) else ran).result
        step.outcome, step.return_code = result.outcome.status, result.return_code
        step.limit = result.outcome.limit.name if result.outcome.limit is not None else None
        step.cpu_seconds, step.peak_memory_bytes = result.usage.cpu_seconds, result.usage.peak_memory_bytes
        self._add_laps(place, step.begins_ms, result.laps)
        return ran

    def _add_laps(self, above: int | None, begins_ms: float, laps: dict[str, float]) -> None:
        """The parts of the execution that is the step of this number."""
        found = laps_of(laps)
        first = len(self.steps)
        if above is None or first + len(found) > MOST_STEPS:
            self.is_whole = False
            return
        for lap in found:
            self.steps.append(
                RequestStep(
                    kind=lap.kind,
                    name=lap.kind,
                    below=above if lap.below is None else first + lap.below,
                    begins_ms=begins_ms + lap.begins,
                    milliseconds=lap.taken,
                    made=lap.made,
                )
            )

    def _begin(self, step: RequestStep) -> int | None:
        """The number of the step; None where there are too many, and it is left out."""
        if len(self.steps) == MOST_STEPS:
            self.is_whole = False
            return None
        self.steps.append(step)
        return len(self.steps) - 1

    @contextmanager
    def _ended(self, step: RequestStep) -> Iterator[None]:
        """A block with whose end the step ends, and which says how it failed."""
        try:
            yield
        except BelljarError as error:
            step.error = error.kind
            raise
        except BaseException:
            step.error = "cancelled"
            raise
        finally:
            step.milliseconds = self.now - step.begins_ms


def answered(step: RequestStep, message: dict[str, Any], usage: dict[str, Any]) -> None:
    """What a turn came to: the upstream's message, whole, and what it counts, or else what was estimated."""
    step.input_tokens = sum(_count(usage, name) for name in _INPUT)
    step.output_tokens = _count(usage, "output_tokens")
    reason = message.get("stop_reason")
    step.stop_reason = str(reason)[:_NAME_CHARS] if reason else None


def _count(usage: dict[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


@dataclass
class Kept:
    """A request that can be looked at."""

    id: str
    what: str
    at: int
    timeline: Timeline
    meter: Meter
    container_id: str | None = None
    status: int | None = None
    """Once it has ended; 0 where no answer began."""
    taken: float = 0.0
    """Milliseconds, once it has ended."""

    def document(self) -> RequestDocument:
        meter = self.meter
        return RequestDocument(
            id=self.id,
            what=self.what,
            state="running" if self.status is None else "ended",
            status=self.status,
            started_at=rfc3339(self.at),
            milliseconds=self.timeline.now if self.status is None else self.taken,
            model=meter.model or None,
            container=self.container_id,
            usage=RequestUsage(
                turns=meter.turns,
                executions=meter.executions,
                input_tokens=meter.input_tokens,
                output_tokens=meter.output_tokens,
                cache_creation_tokens=meter.cache_creation_tokens,
                cache_read_tokens=meter.cache_read_tokens,
                thinking_tokens=meter.thinking_tokens,
                searches=meter.searches,
                is_estimated=meter.is_estimated,
            ),
            steps=self.timeline.steps,
            is_whole=self.timeline.is_whole,
        )


class Timelines:
    """The last requests of each tenant, while the server lives."""

    def __init__(self) -> None:
        self._kept: dict[str, OrderedDict[str, Kept]] = {}

    def begin(self, tenant: str, request: Kept) -> None:
        """From here on it can be asked for; of those that came before, the oldest gives way."""
        mine = self._kept.setdefault(tenant, OrderedDict())
        mine[request.id] = request
        if len(mine) > MOST_KEPT:
            mine.popitem(last=False)

    def end(self, tenant: str, request_id: str, status: int, container_id: str | None) -> None:
        """It has ended; nothing where it is not among them."""
        found = self._find(tenant, request_id)
        if found is not None:
            found.status, found.container_id, found.taken = status, container_id, found.timeline.now

    def _find(self, tenant: str, request_id: str) -> Kept | None:
        mine = self._kept.get(tenant)
        return mine.get(request_id) if mine is not None else None

    def find(self, tenant: str, request_id: str) -> RequestDocument:
        """Raises NotFound."""
        found = self._find(tenant, request_id)
        if found is None:
            raise NotFound(
                f"There is no request {request_id}. The last {MOST_KEPT} that had a model answer, or code run, can be "
                "looked at, as long as the server runs."
            )
        return found.document()
