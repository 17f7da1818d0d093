"""Code that waits for its caller, and callers and code that do not behave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import fakes
import pytest

from belljar import orders, results
from belljar.gateway.pending import PendingCode, open_pending_runs
from belljar.gateway.tools import Failed, Outcome, Ran

pytestmark = pytest.mark.anyio


class Session:
    """Code that asks so many questions at once, and ends when each has its reply; one that does not `read` keeps who
    replies waiting."""

    def __init__(self, asks: int, *, reads: bool = True) -> None:
        self.asks = [results.Ask(number, "tool", {}) for number in range(1, asks + 1)]
        self.reads = reads
        self.waiting = {ask.number for ask in self.asks}
        self.replied = anyio.Event()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Session]:
        yield self

    async def execute(self, session: object, on_asks: Callable[[results.Asks], None]) -> Outcome:
        on_asks(results.Asks(self.asks))
        await self.replied.wait()
        return Failed("unavailable", "ended")

    async def reply(self, ask: int, status: orders.ReplyStatus, text: str) -> None:
        self.waiting.discard(ask)
        if not self.waiting:
            self.replied.set()
        if not self.reads:
            await anyio.sleep_forever()


@asynccontextmanager
async def running(session: Session, seconds: float) -> AsyncIterator[PendingCode]:
    run = PendingCode("use", seconds, {})
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.run, session.use(), session.execute)
            yield run
            tasks.cancel_scope.cancel()


async def test_code_that_reads_no_reply_is_refused_each_of_its_questions() -> None:
    session = Session(3, reads=False)
    async with running(session, 0.05) as run:
        assert isinstance(await run.step(), list)
        assert await run.step() == Failed("unavailable", "ended")


async def test_a_caller_who_goes_while_it_replies() -> None:
    """What was perhaps not handed over is refused in time."""
    session = Session(1)
    async with running(session, 0.2) as run:
        told = await run.step()
        assert isinstance(told, list)
        reply = session.reply
        session.reply = never  # type: ignore[method-assign]
        with anyio.move_on_after(0.05):
            await run.reply(told[0][0], "answered", "x")
        session.reply = reply  # type: ignore[method-assign]
        assert await run.step() == Failed("unavailable", "ended")


async def never(ask: int, status: orders.ReplyStatus, text: str) -> None:
    await anyio.sleep_forever()


async def test_a_request_that_was_sent_twice() -> None:
    session = Session(1)
    found: list[object] = []

    async def step() -> None:
        found.append(await run.step())

    async with running(session, 5) as run:
        told = await run.step()
        assert isinstance(told, list)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(step)
            tasks.start_soon(step)
            await anyio.wait_all_tasks_blocked()
            await run.reply(told[0][0], "answered", "x")
    assert found == [Failed("unavailable", "ended")] * 2


async def test_who_hangs_up_ends_no_code_that_another_waits_for() -> None:
    found: list[object] = []

    async def step(scope: anyio.CancelScope) -> None:
        with scope:
            found.append(await run.step())

    async with running(Session(1), 5) as run:
        told = await run.step()
        assert isinstance(told, list)
        first, second = anyio.CancelScope(), anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(step, first)
            tasks.start_soon(step, second)
            await anyio.wait_all_tasks_blocked()
            first.cancel()
            await anyio.wait_all_tasks_blocked()
            assert run.is_waited_for
            await run.reply(told[0][0], "answered", "x")
    assert found == [Failed("unavailable", "ended")]


async def test_the_last_who_hangs_up_ends_the_code() -> None:
    async with running(Session(1), 5) as run:
        assert isinstance(await run.step(), list)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.step)
            tasks.start_soon(run.step)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        outcome = await run.step()
    assert isinstance(outcome, Failed)
    assert "cut short" in outcome.message


async def test_outcomes_that_nobody_asks_for_are_not_kept_without_end() -> None:
    shown = results.Display("display_data", {"image/png": bytes(30_000_000)})
    ran = Ran(fakes.result(outputs=[shown]), [])

    class Placement:
        @asynccontextmanager
        async def use(self, container_id: str) -> AsyncIterator[Session]:
            yield Session(1)

    async def execute(session: object, on_asks: Callable[[results.Asks], None]) -> Outcome:
        on_asks(results.Asks([results.Ask(1, "tool", {})]))
        return ran

    async with open_pending_runs(Placement(), 60) as pending:  # type: ignore[arg-type]
        runs = [pending.start(f"container-{number}", "use", execute, {}) for number in range(5)]
        await anyio.wait_all_tasks_blocked()
        found = [await run.step() for run in runs]
    assert [isinstance(outcome, Ran) for outcome in found] == [False] * 3 + [True] * 2
