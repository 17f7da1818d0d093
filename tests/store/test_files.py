"""Files: record and blob together."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from belljar.errors import InvalidRequest, NotFound
from belljar.gateway import app
from belljar.gateway.blobs import Blobs
from belljar.gateway.files import (
    Facts,
    FileExpired,
    Files,
    StorageQuotaExceeded,
    TenantFiles,
    now_microseconds,
)
from belljar.gateway.placement.sleeping import Shelf
from belljar.gateway.store import NEVER
from belljar.gateway.store.sqlite import open_store
from belljar.settings import Settings

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[tuple[TenantFiles, Path]]:
    async with open_store(tmp_path / "belljar.sqlite3") as store:
        yield Files(store, Blobs(tmp_path / "blobs"), 3600, 100).of("default", 2**40), tmp_path / "blobs"


async def content(files: TenantFiles, file_id: str) -> bytes:
    return b"".join([piece async for piece in await files.open(await files.find(file_id))])


async def test_what_was_kept_comes_back(place: tuple[TenantFiles, Path]) -> None:
    files, _ = place
    saved = await files.keep("sub/a.csv", pieces(b"a,b\n", b"1,2\n"), container_id="container_1")
    assert (saved.file.filename, saved.file.path, saved.file.size_bytes) == ("a.csv", "sub/a.csv", 8)
    assert saved.file.mime_type == "text/csv"
    assert saved.image is None
    assert await content(files, saved.file.id) == b"a,b\n1,2\n"
    empty = await files.keep("empty.txt", pieces(), container_id="container_1")
    assert await content(files, empty.file.id) == b""


async def test_images_are_echoed_up_to_a_size(place: tuple[TenantFiles, Path]) -> None:
    files, _ = place
    assert (
        await files.keep(
            "a", pieces(PNG[:3], PNG[3:50], PNG[50:]), container_id="container_1", echo_images=1000
        )
    ).image == PNG
    assert (await files.keep("a", pieces(PNG), container_id="container_1", echo_images=50)).image is None
    assert (await files.keep("a", pieces(PNG), container_id="container_1")).image is None
    assert (
        await files.keep(
            "a.png", pieces(b"no image at all, really"), container_id="container_1", echo_images=99
        )
    ).image is None


async def test_removing_takes_both(place: tuple[TenantFiles, Path]) -> None:
    files, blobs = place
    saved = await files.keep("a", b"x", container_id="container_1")
    await files.remove(saved.file.id)
    assert list(blobs.iterdir()) == []
    with pytest.raises(NotFound):
        await files.find(saved.file.id)


async def test_half_a_file_is_no_file(place: tuple[TenantFiles, Path]) -> None:
    files, blobs = place

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 100
        raise NotFound("the session went away")

    with pytest.raises(NotFound):
        await files.keep("a", broken(), container_id="container_1")
    assert list(blobs.iterdir()) == []


async def test_what_has_expired_keeps_its_record_for_a_while(tmp_path: Path) -> None:
    blobs = tmp_path / "blobs"
    async with open_store(tmp_path / "belljar.sqlite3") as store:
        files = Files(store, Blobs(blobs), 0, 100)
        mine = files.of("default", 100)
        saved = (await mine.keep("a", b"x" * 100, container_id="container_1")).file
        await files.sweep()
        assert list(blobs.iterdir()) == []
        assert await store.all_file_ids() == set()
        assert await mine.find(saved.id) == saved
        with pytest.raises(FileExpired):
            await mine.open(saved)
        again = (await mine.keep("b", b"x" * 100, container_id="container_1")).file  # it takes no room
        await mine.remove(again.id)
        month = 30 * 24 * 3600 * 1_000_000
        now = now_microseconds()
        old = replace(saved, id="file_1", created_at=now, expires_at=now - month)
        assert await store.add_file(old, 100, 100)
        await files.sweep()
        assert await mine.some(["file_1", saved.id]) == [saved]


async def test_there_is_room_for_so_many_bytes(tmp_path: Path) -> None:
    blobs = tmp_path / "blobs"
    async with open_store(tmp_path / "belljar.sqlite3") as store:
        files = Files(store, Blobs(blobs), 3600, 100)
        mine, other = files.of("a", 10), files.of("b", 10)
        first = await mine.keep("a", b"12345", container_id="container_1")
        read: list[bytes] = []

        async def endless() -> AsyncIterator[bytes]:
            while True:
                read.append(b"1234")
                yield b"1234"

        with pytest.raises(StorageQuotaExceeded):
            await mine.keep("b", endless(), container_id="container_1")
        assert len(read) == 2  # and no more was read than there was room for
        await other.keep("b", b"1234567890", container_id="container_1")
        await mine.remove(first.file.id)
        await mine.keep("b", b"1234567890", container_id="container_1")
        assert len(list(blobs.iterdir())) == 2


async def test_room_is_counted_when_all_has_come(place: tuple[TenantFiles, Path]) -> None:
    _, blobs = place
    async with open_store(blobs.parent / "belljar.sqlite3") as store:
        mine = Files(store, Blobs(blobs), 3600, 100).of("a", 10)
        meanwhile = anyio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"12345"
            await meanwhile.wait()
            yield b"1"

        async with anyio.create_task_group() as tasks:

            async def refused() -> None:
                with pytest.raises(StorageQuotaExceeded):
                    await mine.keep("slow", slow(), container_id="container_1")

            tasks.start_soon(refused)
            await anyio.wait_all_tasks_blocked()
            await mine.keep("fast", b"12345", container_id="container_1")
            meanwhile.set()
        assert len(list(blobs.iterdir())) == 1


def said(name: str = "a.csv", mime_type: str | None = None, seconds: int | None = None) -> Facts:
    return Facts(name, mime_type, seconds)


async def test_what_a_client_sends(place: tuple[TenantFiles, Path]) -> None:
    files, blobs = place
    kept = await files.receive(pieces(b"a,b\n", b"1,2\n"), said)
    assert (kept.filename, kept.mime_type, kept.size_bytes) == ("a.csv", "text/csv", 8)
    assert (kept.container_id, kept.expires_at, kept.is_downloadable) == (None, NEVER, False)
    assert await content(files, kept.id) == b"a,b\n1,2\n"
    known = await files.receive(pieces(b"a"), lambda: said(mime_type="text/x-own", seconds=3600))
    assert known.mime_type == "text/x-own"
    assert abs(known.expires_at - known.created_at - 3600_000_000) < 60_000_000

    def wrong() -> Facts:
        raise InvalidRequest("expires_in_seconds: no")

    with pytest.raises(InvalidRequest):
        await files.receive(pieces(b"a"), wrong)
    assert {path.name for path in blobs.iterdir()} == {kept.id, known.id}


@pytest.mark.parametrize("part", ["add_file", "put"])
async def test_who_hangs_up_before_the_record_leaves_no_blob(
    place: tuple[TenantFiles, Path], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    files, blobs = place
    owner = files._store if part == "add_file" else files._blobs
    whole = getattr(owner, part)

    async def hung_up(*given: object) -> object:
        done = await whole(*given)
        scope.cancel()
        await anyio.lowlevel.checkpoint()
        return done

    monkeypatch.setattr(owner, part, hung_up)
    with anyio.CancelScope() as scope:
        await files.receive(pieces(b"a,b\n"), said)
    assert scope.cancelled_caught
    with anyio.CancelScope() as scope:
        await files.keep("a.csv", b"a,b\n", container_id="container_1")
    assert scope.cancelled_caught
    assert list(blobs.iterdir()) == []
    assert await files.older(None, None, 10) == []


async def test_what_was_not_recorded_is_not_kept(
    place: tuple[TenantFiles, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    files, blobs = place

    async def full(*_: object) -> bool:
        raise OSError("the disk is full")

    monkeypatch.setattr(files._store, "add_file", full)
    with pytest.raises(OSError, match="full"):
        await files.keep("a.csv", b"a,b\n", container_id="container_1")
    assert list(blobs.iterdir()) == []


async def test_the_sweep_removes_blobs_without_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nothing:
        async def sweep(self) -> None:
            """Nothing has expired."""

        async def prune(self, days: float) -> None:
            """As above."""

    monkeypatch.setattr(app, "_SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(app, "_ORPHANS_SECONDS", 0)
    blobs = tmp_path / "blobs"
    async with open_store(tmp_path / "belljar.sqlite3") as store:
        files = Files(store, Blobs(blobs), 3600, 100)
        (blobs / "file_old").write_bytes(b"y")
        os.utime(blobs / "file_old", (1, 1))
        rest: Any = Shelf(store, files.blobs), Nothing(), Pending(), Nothing(), Settings(state_dir=tmp_path)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(app._sweep, files, *rest)
                while (blobs / "file_old").exists():
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()


class Pending:
    def sweep(self) -> None:
        """Nothing waits."""


async def test_old_blobs_without_a_record_are_removed(tmp_path: Path) -> None:
    blobs = tmp_path / "blobs"
    async with open_store(tmp_path / "belljar.sqlite3") as store:
        files = Files(store, Blobs(blobs), 3600, 100)
        saved = await files.of("default", 2**40).keep("a", b"x", container_id="container_1")
        # The last is what a server that was killed was just writing.
        for name in ("file_old", "file_young", "file_written#1", "archive_kept"):
            (blobs / name).write_bytes(b"y")
        for name in ("file_old", "file_written#1", "archive_kept", saved.file.id):
            os.utime(blobs / name, (1, 1))
        await files.remove_orphans({"archive_kept"})
    assert {path.name for path in blobs.iterdir()} == {saved.file.id, "file_young", "archive_kept"}


async def test_files_that_arrive_side_by_side_share_the_room(tmp_path: Path) -> None:
    async with open_store(tmp_path / "belljar.sqlite3") as store:
        files = Files(store, Blobs(tmp_path / "blobs"), 3600, 100)
        go_on = anyio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield bytes(60)
            await go_on.wait()

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(files.of("a", 100).receive, slow(), lambda: Facts("slow", None, None))
                while not files.arriving["a"]:
                    await anyio.sleep(0.01)
                with pytest.raises(StorageQuotaExceeded):
                    await files.of("a", 100).receive(pieces(bytes(50)), lambda: Facts("x", None, None))
                await files.of("b", 100).receive(pieces(bytes(50)), lambda: Facts("x", None, None))
                go_on.set()
        await files.of("a", 100).receive(pieces(bytes(40)), lambda: Facts("x", None, None))
        assert not files.arriving
