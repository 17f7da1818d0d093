"""Bytes by key, in a directory."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.to_thread
import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from belljar.errors import StoreFailed

_CHUNK_BYTES = 128 * 1024
"""Each upload and each download has some of them in memory, and larger ones are no quicker."""
_ORPHAN_AGE_SECONDS = 3600
"""A blob is written before its record: a young one without may belong to a server beside us."""
_RESERVE_BYTES = 256 * 1024 * 1024
_RESERVE_SHARE = 0.01
"""Of a small disk. So much stays free for what the database writes: without it nothing works for anybody."""


class Blobs:
    """A flat space of blobs. A key is an id of ours, never a name that somebody else chose."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._store = LocalStore(prefix=directory)

    async def put(self, key: str, pieces: AsyncIterator[bytes], *, is_last_copy: bool = False) -> None:
        """Write a blob whole, or, where `pieces` raises, not at all. Raises StoreFailed, also where the disk has little
        left; the last copy of something may take half of that.
        """
        try:
            # Not `put_async` with the iterator: that would advance it in tasks of its own, which outlive a
            # cancellation.
            with anyio.CancelScope() as scope:
                async with obstore.open_writer_async(self._store, key, buffer_size=_CHUNK_BYTES) as writer:
                    async for piece in pieces:
                        self._check_room(is_last_copy=is_last_copy)
                        await writer.write(piece)
                    # A close that is given up goes on all the same, and nobody would know when the blob is there.
                    scope.shield = True
        except (OSError, BaseError) as error:  # the library has both, and the path of the blob in its words
            raise StoreFailed(
                "The server cannot write what it is to keep: its disk is full, or fails."
            ) from error

    def _check_room(self, *, is_last_copy: bool) -> None:
        disk = os.statvfs(self._directory)
        reserve = min(_RESERVE_BYTES, int(disk.f_blocks * disk.f_frsize * _RESERVE_SHARE))
        if disk.f_bavail * disk.f_frsize < (reserve // 2 if is_last_copy else reserve):
            raise StoreFailed(
                f"The server's disk has less than {reserve:,} bytes left, which it needs for what else it keeps. "
                "Whoever runs it has to make room, or clients to delete files."
            )

    async def open(self, key: str) -> AsyncIterator[bytes]:
        """The blob's content in pieces. Raises FileNotFoundError at once where there is none."""
        found = await obstore.get_async(self._store, key)
        return _pieces(found)

    async def remove(self, key: str) -> None:
        """Delete a blob; one that is gone is gone."""
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return

    async def remove_orphans(self, known: set[str]) -> list[str]:
        """Delete what nobody knows and what is too old to be on its way. Returns the names."""
        return await anyio.to_thread.run_sync(self._remove_orphans, known)

    def _remove_orphans(self, known: set[str]) -> list[str]:
        # The directory itself: the store does not list what a server was writing when it was killed.
        before = time.time() - _ORPHAN_AGE_SECONDS
        removed = []
        for path in self._directory.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.name not in known and path.is_file() and path.stat().st_mtime < before:
                    path.unlink()
                    removed.append(path.name)
        return removed


async def _pieces(found: obstore.GetResult) -> AsyncIterator[bytes]:
    async for piece in found.stream(min_chunk_size=_CHUNK_BYTES):
        yield bytes(piece)
