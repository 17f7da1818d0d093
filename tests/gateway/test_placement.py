"""Containers and their sessions on one machine."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from fakes import Keepers, open_placement, settings

from belljar import errors, link, orders, results
from belljar.gateway.placement import local
from belljar.gateway.placement.local import LocalPlacement
from belljar.records import Limits

pytestmark = pytest.mark.anyio

LIMITS = Limits(memory_bytes=2**30, pids=128, disk_bytes=2**29, output_bytes=2**20, cpus=1)


async def execute(placement: LocalPlacement, container_id: str, code: str = "1") -> results.Result:
    async with placement.use(container_id) as session:
        return await session.execute(orders.Run(code, 30))


async def test_a_session_is_opened_when_it_is_needed(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await placement.create(LIMITS, "default")
        assert placement.load.live == 0
        async with placement.use(container.id) as session:
            assert container.state == "running"
            assert placement.load.live == 0
            assert (await session.execute(orders.Run("1", 30))).laps == {"fork": 1.0}
            assert (await session.execute(orders.Run("1", 30))).laps == {}
        async with placement.use(container.id) as session:
            assert (await session.execute(orders.Run("1", 30))).laps == {}
        assert container.state == "idle"
        assert placement.load.live == 1
        await placement.delete(container.id, "it was deleted")
        assert keepers.all[0].sessions == {}
        with pytest.raises(errors.NotFound, match="it was deleted"):
            placement.find(container.id, "default")


async def test_a_file_is_given_once(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await placement.create(LIMITS, "default")
        async with placement.use(container.id) as session:
            await session.execute(orders.Run("1", 30))
            for digest in ("one", "one", "two"):
                await session.give("a.csv", digest, b"")
        assert keepers.all[0].sessions[container.id] == ["a.csv", "a.csv"]
        assert container.given == {"a.csv": "two"}


async def test_a_file_that_went_before_it_was_given(tmp_path: Path) -> None:
    """The container and its session are what they were, and nothing runs without an owner."""
    keepers = Keepers()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"
        raise errors.NotFound("There is no file file_1.")

    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await placement.create(LIMITS, "default")
        await execute(placement, container.id)
        with pytest.raises(errors.NotFound, match="no file file_1"):
            async with placement.use(container.id) as session:
                await session.give("upload", "file_1", pieces)
        assert placement.find(container.id, "default") is container
        await execute(placement, container.id)
        assert list(keepers.all[0].sessions) == [container.id]


async def test_files_travel_with_the_first_run_or_by_themselves(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        for size, is_held in ((10, True), (2**20 + 1, False)):
            container = await placement.create(LIMITS, "default")
            async with placement.use(container.id) as session:
                await session.put("a", "1", bytes(size))
                assert (container.id not in keepers.all[0].sessions) == is_held
                await session.execute(orders.Run("1", 30))
                assert keepers.all[0].sessions[container.id] == ["a"]
        # Without a run they are put all the same.
        container = await placement.create(LIMITS, "default")
        async with placement.use(container.id) as session:
            await session.put("a", "1", b"x")
        assert keepers.all[0].sessions[container.id] == ["a"]


async def test_a_session_for_one_run_is_closed_with_it(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await placement.create(LIMITS, "default")
        async with placement.use(container.id) as session:
            await session.execute(orders.Run("1", 30, is_last=True))
        assert keepers.all[0].sessions == {}
        assert placement.load.live == 0


async def test_the_longest_idle_gives_way(tmp_path: Path) -> None:
    async with open_placement(
        settings(tmp_path, max_sessions=2, queue_seconds=0.2), Keepers().start
    ) as placement:
        first, second = await placement.create(LIMITS, "default"), await placement.create(LIMITS, "default")
        await execute(placement, second.id)
        await execute(placement, first.id)
        third = await placement.create(LIMITS, "default")
        assert (first.state, second.state) == ("idle", "asleep")
        async with placement.hold(first.id), placement.hold(third.id):
            with pytest.raises(errors.Overloaded):
                await placement.create(LIMITS, "default")
        await placement.create(LIMITS, "default")


async def test_what_is_not_used_expires(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await placement.create(LIMITS, "default")
        async with placement.use(container.id):
            container.expires_at = 0
            await placement.sweep()
            assert placement.find(container.id, "default") is container
        assert container.expires_at > container.last_used_at > 0
        container.expires_at = 0
        with pytest.raises(errors.NotFound, match="expired"):
            placement.find(container.id, "default")
        await placement.sweep()
        assert keepers.all[0].sessions == {}
        with pytest.raises(errors.NotFound, match="expired"):
            await execute(placement, container.id)


async def test_a_keeper_that_dies_is_started_again(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        bystander, unlucky = (
            await placement.create(LIMITS, "default"),
            await placement.create(LIMITS, "default"),
        )
        unused = await placement.create(LIMITS, "default")
        await execute(placement, bystander.id)
        with pytest.raises(errors.KeeperLost):
            await execute(placement, unlucky.id, "dies")
        for container in (bystander, unlucky):
            with pytest.raises(errors.NotFound, match="keeper"):
                placement.find(container.id, "default")
        assert placement.find(unused.id, "default") is unused  # there was nothing to be lost
        fresh = await placement.create(LIMITS, "default")
        with anyio.fail_after(10):
            assert (await execute(placement, fresh.id, "lives")).stdout == "lives"
        assert len(keepers.all) == 2


async def test_a_keeper_that_is_stopped_is_ended_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(local, "_SILENT_SECONDS", 3)
    async with open_placement(settings(tmp_path, preload={}, parked=0), link.start) as placement:
        first = await placement.state()
        assert first is not None
        container = await placement.create(LIMITS, "default")
        assert (await execute(placement, container.id, "print(6 * 7)")).stdout == "42\n"
        os.kill(first.pid, signal.SIGSTOP)
        with anyio.fail_after(60), pytest.raises(errors.KeeperLost):
            await execute(placement, container.id)
        fresh = await placement.create(LIMITS, "default")
        with anyio.fail_after(60):
            assert (await execute(placement, fresh.id, "print(6 * 7)")).stdout == "42\n"
        second = await placement.state()
        assert second is not None
        assert second.pid != first.pid


async def test_a_keeper_that_died_unseen(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await placement.create(LIMITS, "default")
        await execute(placement, container.id)
        keepers.all[0].lost.set()
        assert not placement.is_ready
        with anyio.fail_after(10), pytest.raises(errors.NotFound, match="keeper"):
            await execute(placement, container.id)
        container = await placement.create(LIMITS, "default")
        with anyio.fail_after(10):
            assert (await execute(placement, container.id, "lives")).stdout == "lives"


async def test_deleting_while_it_runs(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await placement.create(LIMITS, "default")
        failures: list[errors.NotFound] = []

        async def run() -> None:
            try:
                await execute(placement, container.id, "waits")
            except errors.NotFound as error:
                failures.append(error)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await keepers.all[0].running.wait()
                await placement.delete(container.id, "it was deleted")
                keepers.all[0].release.set()
        assert "it was deleted" in str(failures[0])


async def test_one_that_was_never_there(tmp_path: Path) -> None:
    async with open_placement(settings(tmp_path), Keepers().start) as placement:
        with pytest.raises(errors.NotFound, match="never made here"):
            placement.find("container_x", "default")
        await placement.discard("container_x", "whatever")


async def test_a_keeper_that_does_not_start(tmp_path: Path) -> None:
    def start(_: object) -> object:
        raise errors.JailUnavailable("no user namespaces")

    with pytest.raises(errors.JailUnavailable, match="no user namespaces"):
        async with open_placement(settings(tmp_path), start):  # type: ignore[arg-type]
            pass
