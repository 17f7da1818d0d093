"""Containers that outlive their interpreter, and the server."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from fakes import Keepers, open_placement, settings

from belljar import errors, orders
from belljar.gateway.placement import Container
from belljar.gateway.placement.local import LocalPlacement
from belljar.records import Limits

pytestmark = pytest.mark.anyio

LIMITS = Limits()
DAY = 24 * 3600 * 1_000_000


async def used(placement: LocalPlacement, container_id: str, *names: str) -> tuple[bool, str]:
    """Run code beside files of these names; what is said of a container that was asleep."""
    async with placement.use(container_id) as session:
        for name in names:
            await session.give(name, f"digest of {name}", b"x")
        await session.execute(orders.Run("1", 30))
        return session.was_put_away, session.restored


async def made(placement: LocalPlacement, *names: str) -> Container:
    """A container that has been used."""
    container = await placement.create(LIMITS, "default")
    await used(placement, container.id, *names)
    return container


async def put_away(placement: LocalPlacement, container: Container) -> None:
    container.last_used_at -= DAY
    await placement.sweep()
    assert container.state == "asleep"


def archives(state: Path) -> int:
    return len(list((state / "blobs").iterdir()))


async def test_what_is_not_used_is_put_away_and_comes_back(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await made(placement, "a")
        await placement.sweep()
        assert container.state == "idle"
        await put_away(placement, container)
        sessions = keepers.all[0].sessions
        assert sessions == {}
        assert (placement.load.live, placement.load.asleep, placement.load.containers) == (0, 1, 1)
        assert archives(tmp_path) == 1

        # It is said once, to the first that runs code, and to no one who does not.
        async with placement.use(container.id) as session:
            assert session.was_put_away
            assert container.state == "running"
        assert sessions[container.id] == ["a"]
        was_put_away, restored = await used(placement, container.id, "a")
        assert was_put_away
        assert "its files are back, its variables are gone" in restored
        assert sessions[container.id] == ["a"]  # what it was given before, it was not given again
        assert await used(placement, container.id) == (False, "")

        # An archive takes the place of the one before, and goes with its container.
        await used(placement, container.id, "b")
        await put_away(placement, container)
        assert archives(tmp_path) == 1
        await placement.delete(container.id, "it was deleted")
        assert archives(tmp_path) == 0
        with pytest.raises(errors.NotFound, match="it was deleted"):
            placement.find(container.id, "default")


async def test_what_expires_goes_with_its_archive(tmp_path: Path) -> None:
    async with open_placement(settings(tmp_path), Keepers().start) as placement:
        container = await made(placement)
        await put_away(placement, container)
        container.expires_at = 0
        with pytest.raises(errors.NotFound, match="expired"):
            placement.find(container.id, "default")
        await placement.sweep()
        assert archives(tmp_path) == 0
    async with open_placement(settings(tmp_path), Keepers().start) as placement:
        with pytest.raises(errors.NotFound, match="never made here, or has been gone for long"):
            placement.find(container.id, "default")


async def test_one_that_is_held_stays_awake(tmp_path: Path) -> None:
    async with open_placement(settings(tmp_path), Keepers().start) as placement:
        container = await made(placement)
        async with placement.hold(container.id):
            container.last_used_at -= DAY
            await placement.sweep()
            assert container.state == "idle"


async def test_places_go_round(tmp_path: Path) -> None:
    """Twenty containers in two places: none is lost, and none costs a place while it sleeps."""
    keepers = Keepers()
    async with open_placement(settings(tmp_path, max_sessions=2), keepers.start) as placement:
        containers = [await made(placement, f"file-{number}") for number in range(20)]
        assert placement.load.asleep == 18

        async def use(number: int) -> None:
            was_put_away, _ = await used(placement, containers[number].id)
            assert was_put_away == (number < 18)
            assert keepers.all[0].sessions.get(containers[number].id, [f"file-{number}"]) == [
                f"file-{number}"
            ]

        with anyio.fail_after(30):
            for number in (18, 19):
                await use(number)
            async with anyio.create_task_group() as tasks:
                for number in range(18):
                    tasks.start_soon(use, number)
        assert placement.load.live == 2
        assert len(keepers.all[0].sessions) == 2


async def test_who_comes_back_waits_for_a_place(tmp_path: Path) -> None:
    changed = settings(tmp_path, max_sessions=1, queue_seconds=0.1)
    async with open_placement(changed, Keepers().start) as placement:
        first = await made(placement)
        second = await made(placement)
        assert first.state == "asleep"
        async with placement.hold(second.id):
            with pytest.raises(errors.Overloaded):
                await used(placement, first.id)
        assert (await used(placement, first.id))[0]


async def test_used_while_it_is_put_away(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await made(placement, "a")
        container.last_used_at -= DAY
        keepers.all[0].holds_packing = True
        told: list[bool] = []

        async def use() -> None:
            told.append((await used(placement, container.id))[0])

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(placement.sweep)
                await keepers.all[0].packing.wait()
                tasks.start_soon(use)
                await anyio.wait_all_tasks_blocked()
                assert told == []
                keepers.all[0].release.set()
        assert told == [True]
        assert keepers.all[0].sessions[container.id] == ["a"]


async def test_deleted_while_it_is_put_away(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await made(placement)
        container.last_used_at -= DAY
        keepers.all[0].holds_packing = True
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(placement.sweep)
                await keepers.all[0].packing.wait()
                await placement.delete(container.id, "it was deleted")
                keepers.all[0].release.set()
        assert archives(tmp_path) == 0
        assert placement.load.containers == 0


async def test_deleted_by_a_client_that_went(tmp_path: Path) -> None:
    async with open_placement(settings(tmp_path), Keepers().start) as placement:
        container = await made(placement)
        await put_away(placement, container)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await placement.delete(container.id, "it was deleted")
    assert archives(tmp_path) == 0
    async with open_placement(settings(tmp_path), Keepers().start) as placement:
        with pytest.raises(errors.NotFound, match="never made here"):
            placement.find(container.id, "default")


async def test_deleted_while_it_is_woken(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await made(placement)
        await put_away(placement, container)
        keepers.all[0].holds_packing = True
        failures: list[errors.NotFound] = []

        async def use() -> None:
            try:
                await used(placement, container.id)
            except errors.NotFound as error:
                failures.append(error)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(use)
                await keepers.all[0].packing.wait()
                await placement.delete(container.id, "it was deleted")
                keepers.all[0].release.set()
        assert "it was deleted" in str(failures[0])
        assert keepers.all[0].sessions == {}
        assert (archives(tmp_path), placement.load.live) == (0, 0)
    async with open_placement(settings(tmp_path), Keepers().start) as placement:
        with pytest.raises(errors.NotFound, match="never made here"):
            placement.find(container.id, "default")


async def test_putting_away_that_is_given_up_leaves_it_awake(tmp_path: Path) -> None:
    keepers = Keepers()
    changed = settings(tmp_path, max_sessions=1, queue_seconds=0.2)
    async with open_placement(changed, keepers.start) as placement:
        container = await made(placement, "a")
        keepers.all[0].holds_packing = True
        with pytest.raises(errors.Overloaded):
            await placement.create(LIMITS, "default")
        assert archives(tmp_path) == 0
        assert await used(placement, container.id) == (False, "")
        keepers.all[0].holds_packing = False


async def test_what_cannot_be_kept_stays_awake_while_its_place_is_not_needed(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path, max_sessions=1), keepers.start) as placement:
        container = await made(placement)
        keepers.all[0].refuses_to_pack = True
        container.last_used_at -= DAY
        await placement.sweep()
        assert container.state == "idle"
        await placement.create(LIMITS, "default")
        with pytest.raises(errors.NotFound, match=r"its place was needed.*more than its disk would hold"):
            placement.find(container.id, "default")
        assert keepers.all[0].sessions == {}


async def test_it_falls_back_to_its_archive(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        kept, lost = await made(placement, "a"), await made(placement)
        await put_away(placement, kept)
        await used(placement, kept.id, "b")
        assert keepers.all[0].sessions[kept.id] == ["a", "b"]
        with pytest.raises(errors.KeeperLost):
            async with placement.use(kept.id) as session:
                await session.execute(orders.Run("dies", 30))
        with pytest.raises(errors.NotFound, match="keeper"):
            placement.find(lost.id, "default")
        with anyio.fail_after(10):
            was_put_away, restored = await used(placement, kept.id, "b")
        assert was_put_away
        assert "the keeper process that ran it ended" in restored
        assert "as it was when it was last put away" in restored
        # What it was given after the archive was made, it was given again.
        assert keepers.all[1].sessions[kept.id] == ["a", "b"]
        assert await used(placement, kept.id) == (False, "")


async def test_a_session_that_goes_in_the_middle_of_a_use(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await made(placement, "a")
        await put_away(placement, container)
        async with placement.use(container.id) as session:
            await session.execute(orders.Run("1", 30))
            keepers.all[0].sessions.clear()
            for _ in range(2):  # nor is one made without the files
                with pytest.raises(errors.SessionLost):
                    await session.execute(orders.Run("1", 30))
        assert (await used(placement, container.id))[0]
        assert keepers.all[0].sessions[container.id] == ["a"]


async def test_files_that_do_not_come_back(tmp_path: Path) -> None:
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        container = await made(placement, "a")
        await put_away(placement, container)
        keepers.all[0].refuses_to_unpack = True
        with pytest.raises(errors.NotKept):
            await used(placement, container.id)
        assert container.state == "asleep"
        assert (keepers.all[0].sessions, placement.load.live) == ({}, 0)
        keepers.all[0].refuses_to_unpack = False
        assert (await used(placement, container.id))[0]
        await put_away(placement, container)
        for archive in (tmp_path / "blobs").iterdir():
            archive.unlink()
        with pytest.raises(errors.NotFound, match="archive of its files is not there"):
            await used(placement, container.id)
        assert keepers.all[0].sessions == {}


async def test_a_server_that_ends_puts_all_away(tmp_path: Path) -> None:
    async with open_placement(settings(tmp_path), Keepers().start) as placement:
        asleep, awake = await made(placement, "a"), await made(placement, "b")
        unused = await placement.create(LIMITS, "somebody")
        await put_away(placement, asleep)
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        assert (placement.load.live, placement.load.asleep, placement.load.containers) == (0, 2, 3)
        for container, name in ((asleep, "a"), (awake, "b")):
            was = placement.find(container.id, "default")
            assert (was.tenant, was.limits, was.state) == ("default", LIMITS, "asleep")
            assert (was.created_at, was.given) == (container.created_at, container.given)
            assert (await used(placement, container.id))[1].startswith("The container had been put away")
            assert keepers.all[0].sessions[container.id] == [name]
        assert placement.find(unused.id, "somebody").tenant == "somebody"
        assert await used(placement, unused.id) == (False, "")


async def test_a_server_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(self: LocalPlacement) -> None:
        pass

    with monkeypatch.context() as killed:
        killed.setattr(LocalPlacement, "put_all_away", nothing)
        async with open_placement(settings(tmp_path), Keepers().start) as placement:
            kept, lost = await made(placement, "a"), await made(placement)
            await put_away(placement, kept)
            await used(placement, kept.id, "b")
    keepers = Keepers()
    async with open_placement(settings(tmp_path), keepers.start) as placement:
        with pytest.raises(errors.NotFound, match="the server that ran it ended"):
            placement.find(lost.id, "default")
        _, restored = await used(placement, kept.id)
        assert "the server that ran it ended without putting it away" in restored
        assert keepers.all[0].sessions[kept.id] == ["a"]


async def test_the_next_server_knows_how_long_they_live(tmp_path: Path) -> None:
    async with open_placement(settings(tmp_path), Keepers().start) as placement:
        container = await made(placement)
        await put_away(placement, container)
        async with placement.hold(container.id):
            pass
        expires_at = container.expires_at
    async with open_placement(settings(tmp_path), Keepers().start) as placement:
        container = placement.find(container.id, "default")
        assert container.expires_at == expires_at
        container.expires_at = 0
        with pytest.raises(errors.NotFound, match="expired"):
            placement.find(container.id, "default")


async def test_there_are_only_so_many(tmp_path: Path) -> None:
    async with open_placement(settings(tmp_path, max_containers=2), Keepers().start) as placement:
        first, _ = [await placement.create(LIMITS, "default") for _ in range(2)]
        with pytest.raises(errors.RateLimited, match="BELLJAR_MAX_CONTAINERS"):
            await placement.create(LIMITS, "default")
        await placement.create(LIMITS, "default", is_kept=False)  # it is none that lasts
        await placement.delete(first.id, "it was deleted")
    # Nothing of the one for a single run is left for the next server.
    async with open_placement(settings(tmp_path), Keepers().start) as placement:
        assert placement.load.containers == 1


async def test_there_are_only_so_many_also_of_those_who_waited(tmp_path: Path) -> None:
    changed = settings(tmp_path, max_containers=2, max_sessions=1)
    async with open_placement(changed, Keepers().start) as placement:
        first = await placement.create(LIMITS, "default")
        refused: list[str] = []

        async def make() -> None:
            try:
                await placement.create(LIMITS, "default")
            except errors.RateLimited as error:
                refused.append(str(error))

        async with anyio.create_task_group() as tasks, placement.use(first.id) as session:
            await session.execute(orders.Run("1", 30))
            for _ in range(3):
                tasks.start_soon(make)
            await anyio.wait_all_tasks_blocked()
            assert refused == []  # each found room for one more when it came
        assert placement.load.containers == 2
        assert len(refused) == 2
        assert "BELLJAR_MAX_CONTAINERS" in refused[0]


@pytest.mark.parametrize("missing", ["refuse", "renew"])
async def test_what_becomes_of_one_that_is_not_there(tmp_path: Path, missing: str) -> None:
    changed = settings(tmp_path, container_missing=missing)
    async with open_placement(changed, Keepers().start) as placement:
        container = await placement.create(LIMITS, "default")
        assert placement.named(container.id, "default") is container
        container.expires_at = 0
        for container_id in (container.id, "container_x"):
            if missing == "renew":
                assert placement.named(container_id, "default") is None
            else:
                with pytest.raises(errors.NotFound):
                    placement.named(container_id, "default")
