"""Files: record and blob together."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from belljar.errors import NotFound
from belljar.gateway.blobs import Blobs
from belljar.gateway.files import Files
from belljar.gateway.store.sqlite import open_store

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[tuple[Files, Path]]:
    async with open_store(tmp_path / "belljar.sqlite3") as store:
        yield Files(store, Blobs(tmp_path / "blobs"), 3600), tmp_path / "blobs"


async def content(files: Files, file_id: str) -> bytes:
    return b"".join([piece async for piece in await files.open(await files.find(file_id))])


async def test_what_was_kept_comes_back(place: tuple[Files, Path]) -> None:
    files, _ = place
    saved = await files.keep("sub/a.csv", pieces(b"a,b\n", b"1,2\n"), container_id="container_1")
    assert (saved.file.filename, saved.file.path, saved.file.size_bytes) == ("a.csv", "sub/a.csv", 8)
    assert saved.file.mime_type == "text/csv"
    assert saved.image is None
    assert await content(files, saved.file.id) == b"a,b\n1,2\n"
    empty = await files.keep("empty.txt", pieces(), container_id=None)
    assert await content(files, empty.file.id) == b""


async def test_images_are_echoed_up_to_a_size(place: tuple[Files, Path]) -> None:
    files, _ = place
    assert (
        await files.keep("a", pieces(PNG[:3], PNG[3:50], PNG[50:]), container_id=None, echo_images=1000)
    ).image == PNG
    assert (await files.keep("a", pieces(PNG), container_id=None, echo_images=50)).image is None
    assert (await files.keep("a", pieces(PNG), container_id=None)).image is None
    assert (
        await files.keep("a.png", pieces(b"no image at all, really"), container_id=None, echo_images=99)
    ).image is None


async def test_removing_takes_both(place: tuple[Files, Path]) -> None:
    files, blobs = place
    saved = await files.keep("a", b"x", container_id=None)
    await files.remove(saved.file.id)
    assert list(blobs.iterdir()) == []
    with pytest.raises(NotFound):
        await files.find(saved.file.id)


async def test_half_a_file_is_no_file(place: tuple[Files, Path]) -> None:
    files, blobs = place

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 100
        raise NotFound("the session went away")

    with pytest.raises(NotFound):
        await files.keep("a", broken(), container_id=None)
    assert list(blobs.iterdir()) == []


async def test_what_expired_is_swept(tmp_path: Path) -> None:
    async with open_store(tmp_path / "belljar.sqlite3") as store:
        files = Files(store, Blobs(tmp_path / "blobs"), 0)
        saved = await files.keep("a", b"x", container_id=None)
        with pytest.raises(NotFound):
            await files.find(saved.file.id)
        await files.sweep()
        assert await store.all_file_ids() == set()
    assert list((tmp_path / "blobs").iterdir()) == []


async def test_old_blobs_without_a_record_are_removed(place: tuple[Files, Path]) -> None:
    files, blobs = place
    saved = await files.keep("a", b"x", container_id=None)
    # The last is what a server that was killed was just writing.
    for name in ("file_old", "file_young", "file_written#1", "archive_kept"):
        (blobs / name).write_bytes(b"y")
    for name in ("file_old", "file_written#1", "archive_kept", saved.file.id):
        os.utime(blobs / name, (1, 1))
    await files.remove_orphans({"archive_kept"})
    assert {path.name for path in blobs.iterdir()} == {saved.file.id, "file_young", "archive_kept"}
