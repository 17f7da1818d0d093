"""Who waits for a session, and in which order they get one."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from fakes import Keepers, open_placement, settings

from belljar import errors, orders
from belljar.gateway.placement.queue import FairQueue
from belljar.records import Limits

pytestmark = pytest.mark.anyio


async def test_tenants_take_turns_and_each_in_its_order() -> None:
    queue = FairQueue(100, 10)
    done: list[str] = []

    async def come(tenant: str, name: str) -> None:
        async with queue.turn(tenant):
            done.append(name)
            await anyio.sleep(0)

    async with anyio.create_task_group() as tasks, queue.turn("a"):
        for tenant, name in (
            ("a", "a1"),
            ("a", "a2"),
            ("a", "a3"),
            ("b", "b1"),
            ("b", "b2"),
            ("c", "c1"),
        ):
            tasks.start_soon(come, tenant, name)
        await anyio.wait_all_tasks_blocked()
        assert len(queue) == 6
    assert done == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert len(queue) == 0
    async with queue.turn("a"):
        pass


async def test_who_waits_too_long_is_told_so_and_others_go_on() -> None:
    queue = FairQueue(100, 0.05)
    with pytest.raises(errors.Overloaded) as refused:
        async with queue.turn("a"):
            await anyio.sleep(5)
    assert refused.value.retry_after == "1"
    async with queue.turn("a"):
        pass


async def test_too_many_of_one_tenant_are_refused_at_once_and_no_other() -> None:
    queue = FairQueue(2, 10)
    async with anyio.create_task_group() as tasks:

        async def wait(tenant: str) -> None:
            async with queue.turn(tenant):
                pass

        async with queue.turn("a"):
            for _ in range(2):
                tasks.start_soon(wait, "a")
            tasks.start_soon(wait, "b")
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(errors.RateLimited):
                await wait("a")


@pytest.mark.parametrize("is_woken", [False, True])
async def test_who_goes_away_while_waiting_holds_up_nobody(is_woken: bool) -> None:
    queue = FairQueue(10, 10)
    done = []

    async def come(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            async with queue.turn("a"):
                done.append(name)

    first, second = anyio.CancelScope(), anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        async with queue.turn("a"):
            tasks.start_soon(come, "first", first)
            tasks.start_soon(come, "second", second)
            await anyio.wait_all_tasks_blocked()
            if not is_woken:
                first.cancel()
        if is_woken:
            first.cancel()  # it is its turn, and it does not know yet
    assert done[-1] == "second"
    assert len(queue) == 0
    async with queue.turn("a"):
        pass


async def test_a_request_gets_the_place_that_becomes_free(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path, max_sessions=1), keepers.start) as placement:
        first = await placement.create(Limits(), "a")
        made: list[str] = []

        async def make() -> None:
            made.append((await placement.create(Limits(), "a")).id)

        async with anyio.create_task_group() as tasks, placement.use(first.id) as session:
            await session.execute(orders.Run("1", 30))
            tasks.start_soon(make)
            await anyio.wait_all_tasks_blocked()
            assert (made, placement.load.waiting) == ([], 0)  # it has its turn, and waits for room
            tasks.start_soon(make)
            await anyio.wait_all_tasks_blocked()
            assert placement.load.waiting == 1
        assert len(made) == 2
        # Each gave way to the next, for nobody used it any more.
        assert first.state == "asleep"
        assert placement.find(made[1], "a").state == "idle"
        assert (placement.load.live, placement.load.containers) == (0, 3)
