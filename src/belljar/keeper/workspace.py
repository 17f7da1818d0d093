"""A session's files directory, with one look or change at a time, in worker threads."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from belljar.errors import InvalidRequest, SessionLost
from belljar.keeper import collector
from belljar.keeper.collector import Listing, Seen

T = TypeVar("T")

_WORK = b"work"


class Workspace:
    """Made with a descriptor of the box's files directory, which it owns, and the guest's uid on this machine."""

    def __init__(self, files_fd: int, owner: int) -> None:
        self._files_fd = files_fd
        self._owner = owner
        self._turn = anyio.Lock()
        self._is_closed = False
        self._listing: Listing = {}

    async def _in_thread(self, work: Callable[[], T]) -> T:
        # Nobody closes the descriptor while a thread still works with its number.
        async with self._turn:
            if self._is_closed:
                raise SessionLost("the session has ended")
            return await anyio.to_thread.run_sync(work)

    async def look(self, output_dir: str) -> Listing:
        """What lies in the working directory, and in the run's $OUTPUT_DIR."""
        top = _output(output_dir)

        def look() -> Listing:
            return collector.look(self._files_fd, _WORK) | collector.look(self._files_fd, top)

        return await self._in_thread(look)

    async def changes(self, before: Listing, output_dir: str) -> list[dict[str, Any]]:
        """The files that are new or different since `before`, as {path, size_bytes, handle}."""
        self._listing = await self.look(output_dir)
        top = _output(output_dir)
        return [_described(path, seen, top) for path, seen in collector.changed(before, self._listing)]

    async def put(self, name: str, data: bytes, *, is_first: bool, is_last: bool) -> None:
        """Take in a piece of a file for the working directory, which gets it when it is complete.

        Raises InvalidRequest, and then what had the name has it still.
        """
        raw = os.fsencode(name)
        if not raw or b"/" in raw or b"\0" in raw or raw in (b".", b"..") or len(raw) > 255:
            raise InvalidRequest(
                f"{name!r} is no file name: one component of at most 255 bytes, without / and NUL"
            )
        incoming = collector.INCOMING + hashlib.sha256(raw).hexdigest()[:32].encode()

        def write() -> None:
            try:
                path = _WORK + b"/" + incoming
                collector.write(self._files_fd, path, data, append=not is_first, owner=self._owner)
                if is_last:
                    collector.rename(self._files_fd, _WORK, incoming, raw, owner=self._owner)
            except OSError:
                with contextlib.suppress(OSError):  # the first error is the one to tell
                    collector.remove(self._files_fd, _WORK, incoming)
                raise

        try:
            await self._in_thread(write)
        except OSError as error:
            raise InvalidRequest(
                f"{name!r} could not be written into the session: {error.strerror}"
            ) from error

    async def read(self, handle: str, offset: int, length: int) -> bytes:
        """Part of a file of the last result. Raises InvalidRequest when it is not there any more."""
        path = bytes.fromhex(handle)
        seen = self._listing.get(path)
        if seen is None:
            raise InvalidRequest("the last run gave back no such file")

        def look() -> bytes:
            return collector.read(self._files_fd, path, seen, offset, length)

        try:
            return await self._in_thread(look)
        except OSError as error:
            raise InvalidRequest("the file has been removed since the run") from error

    def used_bytes(self) -> int:
        """Of the session's disk space, and where there is no cgroup of its memory."""
        status = os.fstatvfs(self._files_fd)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def is_full(self) -> bool:
        """Whether there is no byte or no inode left."""
        status = os.fstatvfs(self._files_fd)
        return status.f_bfree == 0 or status.f_ffree == 0

    async def close(self) -> None:
        """Let go of the directory, after what is under way."""
        async with self._turn:
            if not self._is_closed:
                self._is_closed = True
                os.close(self._files_fd)


def _output(output_dir: str) -> bytes:
    return f"output/{output_dir}".encode()


def _described(path: bytes, seen: Seen, output_top: bytes) -> dict[str, Any]:
    top = output_top if path.startswith(output_top + b"/") else _WORK
    shown = path[len(top) + 1 :].decode("utf-8", "backslashreplace")
    return {"path": shown, "size_bytes": seen.size_bytes, "handle": path.hex()}
