"""Flags and hands: who waits is woken once, in time, and whatever is cancelled."""

from __future__ import annotations

import threading

import anyio
import pytest

from belljar.keeper.waiting import Flag, Hand

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # what the keeper runs on


async def test_all_who_wait_are_woken() -> None:
    flag, woken = Flag(), list[bool]()

    async def wait() -> None:
        await flag.wait()
        woken.append(await flag.within(0))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert not woken
        flag.set()
    assert woken == [True] * 3


async def test_who_waits_too_long_goes_on() -> None:
    flag = Flag()
    assert not await flag.within(0.001)
    assert not await flag.within(-1)
    flag.set()
    assert await flag.within(-1)


async def test_who_is_cancelled_is_forgotten() -> None:
    flag = Flag()
    with anyio.move_on_after(0.001) as scope:
        await flag.wait()
    with anyio.move_on_after(0.001) as other:
        await flag.within(60)
    assert scope.cancelled_caught and other.cancelled_caught
    flag.set()


async def test_a_hand_does_one_thing_after_the_other_and_elsewhere() -> None:
    hand, seen = Hand("test"), list[int]()

    def first() -> int:
        go.wait(10)
        seen.append(1)
        return threading.get_ident()

    go = threading.Event()
    job, other = hand.begin(first), hand.begin(lambda: seen.append(2))
    assert not seen
    go.set()
    assert await job.outcome() != threading.get_ident()
    await other.outcome()
    assert seen == [1, 2]
    await other.outcome()  # as often as one likes


async def test_an_error_is_raised_where_it_is_waited_for() -> None:
    hand = Hand("test")
    with pytest.raises(ZeroDivisionError):
        await hand.do(lambda: 1 // 0)
    assert await hand.do(lambda: "well") == "well"


async def test_work_that_was_begun_is_waited_for_when_cancelled() -> None:
    hand, go, done = Hand("test"), threading.Event(), list[bool]()

    def work() -> None:
        go.wait(10)
        done.append(True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hand.do, work)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
        go.set()
    assert done == [True]


async def test_short_work_is_done_at_once_unless_the_hand_is_at_work() -> None:
    hand, go, threads = Hand("test"), threading.Event(), list[str]()

    def work() -> int:
        threads.append(threading.current_thread().name)
        return 1

    job = hand.begin_short(work)
    assert threads == [threading.current_thread().name]
    assert await job.outcome() == 1
    held = hand.begin(go.wait)
    job = hand.begin_short(work)  # behind what is begun, and so not by us
    assert len(threads) == 1
    go.set()
    assert await held.outcome()
    assert await job.outcome() == 1
    assert threads[1] == "test"


async def test_short_work_that_fails_says_so_where_it_is_waited_for() -> None:
    job = Hand("test").begin_short(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        await job.outcome()
