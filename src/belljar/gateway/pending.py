"""Code that waits for the caller's tools, from one request to the next.

It runs in a task of its own, which holds its container: an answer ends with what the code has asked, and the next
request brings the replies. Code that nobody answers in time gets a TimeoutError, runs to its end, and its outcome is
kept for the request that asks for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import structlog
from anyio.abc import TaskGroup

from belljar import errors, orders, results
from belljar.gateway.placement import Placement, Session
from belljar.gateway.tools import Failed, Outcome, Ran
from belljar.wire.ids import new_id

log = structlog.get_logger("belljar.gateway")

_KEPT_BYTES = 64 * 1024 * 1024
"""Of all outcomes that nobody has asked for yet: the oldest give way."""

Execute = Callable[[Session, Callable[[results.Asks], None]], Awaitable[Outcome]]
"""Runs the code in a session, and tells of what it asks."""
Own = Mapping[str, Callable[[object], Awaitable[tuple[orders.ReplyStatus, str, Outcome]]]]
"""Functions that are answered here and not by the client, by their names: what the code gets, and what it came to."""

_MOST_ANSWERED = 200
"""Of what was answered here so much is remembered: code can ask without end."""


class PendingCode:
    """One execution. Made by `PendingRuns.start`."""

    def __init__(self, use_id: str, seconds: float, own: Own) -> None:
        self.use_id = use_id
        """The client's id of the code's own tool use."""
        self._seconds = seconds
        self._own = own
        self._answered: list[tuple[results.Ask, Outcome]] = []
        self._session: Session | None = None
        self._untold: list[tuple[str, results.Ask]] = []
        self._open: dict[str, int] = {}
        """What the client was told of and has not answered: by its id the number of the question."""
        self._is_deserted = False
        """A call was not answered in time, and no request has come since: its clock is not to stand still again."""
        self._changed = anyio.Event()
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._outcome: Outcome | None = None
        self._failure: errors.BelljarError | None = None
        self.has_run = False
        """The session was there, and the code has perhaps begun."""
        self._waiting = 0
        """Requests that wait for it at the moment."""

    @property
    def is_waited_for(self) -> bool:
        """A request waits for what comes next."""
        return self._waiting > 0

    @property
    def kept_bytes(self) -> int:
        """What its outcome takes, while it is there for somebody who may come."""
        if self._waiting or not isinstance(self._outcome, Ran):
            return 0
        return self._outcome.size

    def let_go(self) -> None:
        """Keep no more of its outcome than that there was one."""
        self._outcome = Failed(
            "unavailable", "The code has ended, and what came of it was not kept for so long."
        )

    @property
    def waits_for(self) -> set[str]:
        """The ids of what the client was told of and has not answered."""
        return set(self._open)

    async def step(self) -> list[tuple[str, results.Ask]] | Outcome:
        """Wait until the code has asked something new, or has ended. Raises what `Placement.use` raises.

        From here on the client has its time to answer. Being cancelled ends the code, unless another waits for it.
        """
        self._is_deserted = False
        self._waiting += 1
        try:
            while not self._untold and not self._ended.is_set():
                await self._changed.wait()  # perhaps side by side with a request that was sent twice
        except BaseException:
            if self._waiting == 1:
                with anyio.CancelScope(shield=True):
                    await self.cancel()
            raise
        finally:
            self._waiting -= 1
        if self._failure is not None:
            raise self._failure
        if self._outcome is not None:
            return self._outcome
        told, self._untold = self._untold, []
        self._open |= {name: ask.number for name, ask in told}
        return told

    async def reply(self, use_id: str, status: orders.ReplyStatus, text: str) -> None:
        """Hand the code what a tool has answered; nothing where it does not wait for that any more."""
        number = self._open.get(use_id)
        if number is not None and self._session is not None and not self._ended.is_set():
            with contextlib.suppress(
                errors.BelljarError
            ):  # its session has gone, and its outcome will say so
                await self._session.reply(number, status, text)
        # Not before: where this is cancelled, it is still to be refused in time.
        self._open.pop(use_id, None)

    def end(self) -> None:
        """End the code, without waiting for that."""
        self._scope.cancel()

    def answered(self) -> list[tuple[results.Ask, Outcome]]:
        """What was answered here since the last time that somebody wanted to know."""
        answered, self._answered = self._answered, []
        return answered

    async def cancel(self) -> None:
        """End the code, and wait for that."""
        self.end()
        await self._ended.wait()

    async def run(self, use: AbstractAsyncContextManager[Session], execute: Execute) -> None:
        """What the task does."""
        try:
            with self._scope:
                async with use as session, anyio.create_task_group() as tasks:
                    self._session = session
                    self.has_run = True
                    try:
                        self._outcome = await execute(session, lambda asks: self._heard(asks, tasks))
                    except errors.BelljarError as error:  # which the group would wrap
                        self._failure = error
                    tasks.cancel_scope.cancel()
        except errors.BelljarError as error:
            self._failure = error
        except Exception:  # the outermost boundary of this task
            log.exception("code with tools failed", use=self.use_id)
            self._failure = errors.BelljarError("Internal server error; the server's log has the details.")
        finally:
            if self._outcome is None and self._failure is None:
                self._outcome = Failed(
                    "unavailable", "The code was cut short: nobody waited for it any more."
                )
            self._ended.set()
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def _heard(self, asks: results.Asks, tasks: TaskGroup) -> None:
        if self._is_deserted:
            tasks.start_soon(self._refuse, asks.asks, "nobody is there any more who would answer")
            return
        for ask in asks.asks:
            if ask.name in self._own:
                tasks.start_soon(self._answer, ask)
        named = [(new_id("toolu"), ask) for ask in asks.asks if ask.name not in self._own]
        if not named:
            return
        self._untold += named
        self._wake()
        tasks.start_soon(self._time_out, named)

    async def _answer(self, ask: results.Ask) -> None:
        assert self._session is not None
        status, text, outcome = await self._own[ask.name](ask.input)
        if len(self._answered) < _MOST_ANSWERED:
            self._answered.append((ask, outcome))
        with contextlib.suppress(errors.BelljarError):  # as above
            await self._session.reply(ask.number, status, text)

    async def _time_out(self, named: list[tuple[str, results.Ask]]) -> None:
        await anyio.sleep(self._seconds)
        unanswered = self._open.keys() | {name for name, _ in self._untold}
        late = [(name, ask) for name, ask in named if name in unanswered]
        if not late:
            return
        self._is_deserted = True
        self._untold = [item for item in self._untold if item not in late]
        for name, _ in late:
            self._open.pop(name, None)
        await self._refuse([ask for _, ask in late], f"nobody has answered within {self._seconds:g} seconds")

    async def _refuse(self, asks: Sequence[results.Ask], why: str) -> None:
        async def refuse(ask: results.Ask) -> None:
            assert self._session is not None
            with contextlib.suppress(
                errors.BelljarError
            ):  # its session has gone, and its outcome will say so
                await self._session.reply(ask.number, "timed_out", f"{ask.name}: {why}")

        # Side by side: code that reads none of it has its clock go on all the same.
        async with anyio.create_task_group() as tasks:
            for ask in asks:
                tasks.start_soon(refuse, ask)


class PendingRuns:
    """What runs beside all requests, at most one in a container. Made by `open_pending_runs`."""

    def __init__(self, tasks: TaskGroup, placement: Placement, seconds: float) -> None:
        self._tasks = tasks
        self._placement = placement
        self._seconds = seconds
        self._runs: dict[str, PendingCode] = {}

    def start(self, container_id: str, use_id: str, execute: Execute, own: Own) -> PendingCode:
        """Run code in a container, as soon as its session is free; what it asks of `own` is answered here.

        What another request has begun there is ended.
        """
        if (before := self._runs.get(container_id)) is not None:
            before.end()
        run = PendingCode(use_id, self._seconds, own)
        self._runs[container_id] = run
        self._tasks.start_soon(self._run, run, self._placement.use(container_id), execute)
        return run

    async def _run(
        self, run: PendingCode, use: AbstractAsyncContextManager[Session], execute: Execute
    ) -> None:
        await run.run(use, execute)
        left = _KEPT_BYTES
        for one in reversed(self._runs.values()):
            left -= one.kept_bytes
            if left < 0 and one.kept_bytes:
                one.let_go()

    def find(self, container_id: str, use_id: str) -> PendingCode | None:
        """The run that the use `use_id` has begun in the container."""
        run = self._runs.get(container_id)
        return run if run is not None and run.use_id == use_id else None

    def forget(self, container_id: str, run: PendingCode) -> None:
        """Its outcome has been told."""
        if self._runs.get(container_id) is run:
            del self._runs[container_id]

    async def drop(self, container_id: str) -> None:
        """End what runs in the container, if anything does: the conversation goes on without it."""
        run = self._runs.pop(container_id, None)
        if run is not None:
            await run.cancel()

    def sweep(self) -> None:
        """Forget the outcomes that nobody has asked for, with their containers."""
        for container_id in list(self._runs):
            if self._placement.is_gone(container_id):
                self._runs.pop(container_id).end()


@asynccontextmanager
async def open_pending_runs(placement: Placement, seconds: float) -> AsyncIterator[PendingRuns]:
    """The block's end ends all that runs. `seconds` are for a client to answer what code asks."""
    async with anyio.create_task_group() as tasks:
        yield PendingRuns(tasks, placement, seconds)
        tasks.cancel_scope.cancel()
