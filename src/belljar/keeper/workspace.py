"""A session's files directory, with one look or change at a time, in worker threads."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from belljar import paths
from belljar.errors import InvalidRequest, NoSuchFile, NotKept, SessionLost
from belljar.keeper import boxes, collector
from belljar.keeper.archive import Packer, Tops, Unpacker
from belljar.keeper.collector import Listing, Seen

T = TypeVar("T")

_WORK = b"work"
"""What of the directory is archived; and the temporary directory."""
_TEMPORARY = b"tmp"
_MOST_PATH_BYTES = 4000
_FOUND = "found/"
"""Handles of files that were found by their paths begin so."""
_MOST_FOUND = 64
"""Of them, that can be read."""
_SHORT_BYTES = 512 * 1024
"""They are written in less than a millisecond where the disk is memory."""
_FEW = 100
_FEW_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Changes:
    """What a run has done to the files."""

    files: list[dict[str, Any]] = field(default_factory=list)
    """New or different ones, as {path, size_bytes, handle, inode, change}, or with `call` in place of `change`."""
    deleted: list[str] = field(default_factory=list)
    """Paths in the working directory."""
    is_whole: bool = True
    """All files have been looked at."""


class Workspace:
    """Made with a descriptor of the box's files directory, which it owns, and the guest's uid on this machine.

    `has_disk`: the directory lies on a file system of the box's own, on which nobody has made anything yet.
    """

    def __init__(self, files_fd: int, owner: int, *, has_disk: bool) -> None:
        self._files_fd = files_fd
        self._owner = owner
        self._turn = anyio.Lock(fast_acquire=True)
        self._is_closed = False
        self._is_current = True
        """What was listed last is what lies there still: between runs nothing of the session runs."""
        self._bare = _inodes(files_fd) if has_disk else None
        """How many there are without a file."""
        self._listing = Listing()
        self._found: dict[bytes, Seen] = {}
        self._temporary_fd = -1
        self._packer: Packer | None = None
        self._unpacker: Unpacker | None = None

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Work with the directory. Raises SessionLost when it is closed."""
        # Nobody closes the descriptor while a thread still works with its number.
        async with self._turn:
            if self._is_closed:
                raise SessionLost("the session has ended")
            return await anyio.to_thread.run_sync(work)

    async def in_turn(self, work: Callable[[], T]) -> T:
        """The same for what is short."""
        async with self._turn:
            return self.at_once(work)

    def at_once(self, work: Callable[[], T]) -> T:
        """The same for what takes microseconds, and whatever a thread does meanwhile."""
        if self._is_closed:
            raise SessionLost("the session has ended")
        return work()

    async def before(self, output_dir: str) -> Listing:
        """What lies there before a run."""
        self.at_once(self._give_up_archive)
        if self._is_current:
            self._is_current = False
            return self._listing
        return await self.look(output_dir)

    async def look(self, output_dir: str) -> Listing:
        """What lies in the run's $OUTPUT_DIR, and in the working directory."""
        top = _output(output_dir)
        if self.at_once(lambda: self._is_bare(top)):
            return Listing()
        # Results first: where there is more than we take in, that is the litter of the working directory.
        return await self._listed(top, _WORK)

    async def _listed(self, *tops: bytes, max_depth: int = collector.MAX_DEPTH) -> Listing:
        """What `collector.look` finds, without a thread where that is little."""
        seen = self.at_once(lambda: collector.look_quickly(self._files_fd, *tops, max_depth=max_depth))
        if seen is None:
            seen = await self.in_thread(lambda: collector.look(self._files_fd, *tops, max_depth=max_depth))
        return seen

    def _is_bare(self, top: bytes) -> bool:
        """Whether there is no file, for sure: by the kernel's count there is nothing but the directories that we made
        and one for the results of the only run so far, and that one and the working directory are there."""
        if self._bare is None or _inodes(self._files_fd) != self._bare + 1:
            return False
        return all(collector.is_directory(self._files_fd, name) for name in (_WORK, top))

    async def changes(self, before: Listing, output_dir: str) -> Changes:
        """The files that are new or different since `before`, and those that are gone."""
        self._listing = await self.look(output_dir)
        self._is_current = self._listing.is_whole
        if len(self._listing) + len(before) < _FEW:
            return _described(before, self._listing, _output(output_dir))
        # In a thread as well: tens of thousands of entries take a while, and the other sessions go on.
        return await anyio.to_thread.run_sync(_described, before, self._listing, _output(output_dir))

    async def outputs(self, output_dirs: list[str | None]) -> Changes:
        """The files that lie in each of these, and not deeper, as {path, size_bytes, handle, inode, call}: `call` is
        its place in the list."""
        self._is_current = False  # commands may have written anywhere
        tops = [_output(name) if name is not None else None for name in output_dirs]
        some = [top for top in tops if top is not None]
        self._listing = await self._listed(*some, max_depth=0)
        described = []
        for number, top in enumerate(tops):
            for path, seen in self._listing.items():
                if top is not None and path.startswith(top + b"/"):
                    described.append(_file(path, top, seen) | {"call": number})
        return Changes(described, is_whole=self._listing.is_whole)

    async def put(self, path: str, data: bytes, *, is_first: bool, is_last: bool) -> None:
        """Take in a piece of a file for the working directory, which gets it when it is complete; `give_up` ends one
        that will not be.

        Raises InvalidRequest, and then what had the path has it still.
        """
        raw = _raw(path)
        incoming = _incoming(raw)

        def write() -> None:
            try:
                collector.write(
                    self._files_fd, _WORK + b"/" + incoming, data, append=not is_first, owner=self._owner
                )
                if is_last:
                    collector.rename(self._files_fd, _WORK, incoming, raw, owner=self._owner)
            except OSError:
                with contextlib.suppress(OSError):  # the first error is the one to tell
                    collector.remove(self._files_fd, _WORK + b"/" + incoming)
                raise

        # On the box's own disk, which is memory, a small file takes less than the way to a thread.
        is_short = self._bare is not None and len(data) <= _SHORT_BYTES
        try:
            await (self.in_turn if is_short else self.in_thread)(write)
        except OSError as error:
            raise InvalidRequest(
                f"{path!r} could not be written into the session: {error.strerror}"
            ) from error
        finally:
            self._is_current = False  # now: a run may have ended meanwhile

    async def give_up(self, path: str) -> None:
        """Delete what has come in of a file whose rest will not come."""
        incoming = _incoming(_raw(path))
        with contextlib.suppress(OSError):  # it was complete, or has not begun
            await self.in_thread(lambda: collector.remove(self._files_fd, _WORK + b"/" + incoming))

    async def files(self) -> tuple[list[dict[str, Any]], bool]:
        """What lies in the working directory, as {path, size_bytes, changed_ns, handle}; and whether that is all."""
        listing = await self._listed(_WORK)
        return [_lying(path, seen) for path, seen in listing.items()], listing.is_whole

    async def find(self, path: str) -> dict[str, Any]:
        """One of these files, whose handle is good for `read` until it is written to. Raises NoSuchFile."""
        raw = _WORK + b"/" + _raw(path)
        try:
            seen = await self.in_thread(lambda: collector.find(self._files_fd, raw))
        except OSError as error:
            raise _not_there(path, error) from error
        self._found.pop(raw, None)
        self._found[raw] = seen
        while len(self._found) > _MOST_FOUND:
            self._found.pop(next(iter(self._found)))
        return _lying(raw, seen)

    async def remove(self, path: str) -> None:
        """Delete one of these files. Raises NoSuchFile."""
        raw = _WORK + b"/" + _raw(path)

        def remove() -> None:
            collector.find(self._files_fd, raw)
            collector.remove(self._files_fd, raw)

        try:
            await self.in_thread(remove)
        except OSError as error:
            raise _not_there(path, error) from error
        finally:
            self._is_current = False

    async def read(self, handle: str, offset: int, length: int) -> bytes:
        """Part of a file of the last result, or of one that was found. Raises InvalidRequest when it is not there any
        more."""
        is_found = handle.startswith(_FOUND)
        path = bytes.fromhex(handle.removeprefix(_FOUND))
        listing = self._found if is_found else self._listing
        seen = listing.get(path)
        if seen is None:
            raise InvalidRequest("the last run gave back no such file")

        def look() -> bytes:
            # What a run has made is given back as far as it reached then; what was found has to be the same still.
            if is_found and collector.find(self._files_fd, path) != seen:
                raise FileNotFoundError(path)
            try:
                return collector.read(self._files_fd, path, seen, offset, length)
            except PermissionError:
                listing[path] = collector.make_readable(self._files_fd, path, seen)
                return collector.read(self._files_fd, path, seen, offset, length)

        try:
            return await self.in_thread(look)
        except OSError as error:
            raise InvalidRequest("the file has been removed or changed since") from error

    async def pack(self, open_temporary: Callable[[], int], disk_bytes: int, *, is_first: bool) -> bytes:
        """The next piece of an archive of the files; nothing after the last. A run in between gives it up.

        Raises NotKept where it cannot be made, and InvalidRequest for a later piece where no first one was asked for.
        """
        if is_first:
            self.at_once(self._give_up_archive)
        elif self._packer is None:
            raise InvalidRequest("no archive of the session is being made")

        def pack() -> bytes:
            if self._packer is None:
                self._packer = Packer(self._tops(open_temporary), disk_bytes, boxes.inodes(disk_bytes))
            return self._packer.piece()

        piece = await self._archiving(pack, "the session's files could not be put away")
        if not piece:
            self._give_up_archive()
        return piece

    async def unpack(
        self, open_temporary: Callable[[], int], disk_bytes: int, data: bytes, *, is_last: bool
    ) -> None:
        """Take in the next piece of an archive. Raises NotKept."""
        self._is_current = False

        def unpack() -> None:
            if self._unpacker is None:
                self._unpacker = Unpacker(self._tops(open_temporary), disk_bytes)
            with collector.acting_as(self._owner):
                self._unpacker.feed(data)
            if is_last and not self._unpacker.is_complete:
                raise NotKept("what was kept of the session's files ends too early")

        await self._archiving(unpack, "the session's files could not be brought back")
        if is_last:
            self._give_up_archive()

    async def _archiving(self, work: Callable[[], T], what: str) -> T:
        try:
            return await self.in_thread(work)
        except NotKept:
            self._give_up_archive()
            raise
        except OSError as error:
            self._give_up_archive()
            raise NotKept(f"{what}: {error.strerror}") from error

    def _tops(self, open_temporary: Callable[[], int]) -> Tops:
        self._temporary_fd = open_temporary()
        return {_WORK: (self._files_fd, _WORK), _TEMPORARY: (self._temporary_fd, b".")}

    def _give_up_archive(self) -> None:
        """Let go of what an archive is made or unpacked with."""
        for archive in (self._packer, self._unpacker):
            if archive is not None:
                archive.close()
        self._packer = self._unpacker = None
        if self._temporary_fd >= 0:
            os.close(self._temporary_fd)
            self._temporary_fd = -1

    async def mend(self) -> None:
        """Make the directories again that code may have moved or deleted: a guest cannot begin without."""
        self._is_current = False
        await self.in_thread(lambda: collector.mend(self._files_fd, (_WORK, b"output"), owner=self._owner))

    async def close(self) -> None:
        """Let go of the directory, after what is under way."""
        async with self._turn:
            if not self._is_closed:
                self._is_closed = True
                self._give_up_archive()
                if _is_small(self._files_fd):
                    os.close(self._files_fd)
                else:
                    # In a thread: with the last descriptor the kernel takes a whole file system apart.
                    await anyio.to_thread.run_sync(os.close, self._files_fd)


def _is_small(fd: int) -> bool:
    """Whether a file system has so little on it that it is gone in no time."""
    status = os.fstatvfs(fd)
    return (status.f_blocks - status.f_bfree) * status.f_frsize <= _FEW_BYTES and (
        status.f_files - status.f_ffree <= _FEW
    )


def _inodes(fd: int) -> int:
    """How many are in use on the file system of `fd`."""
    status = os.fstatvfs(fd)
    return status.f_files - status.f_ffree


def _output(output_dir: str) -> bytes:
    return f"output/{output_dir}".encode()


def _described(before: Listing, after: Listing, output_top: bytes) -> Changes:
    """What has changed: first what lies in the working directory."""
    changed = collector.changed(before, after)
    changed.sort(key=lambda item: item[0].startswith(output_top + b"/"))
    described = []
    for path, seen in changed:
        top = output_top if path.startswith(output_top + b"/") else _WORK
        described.append(_file(path, top, seen) | {"change": "modified" if path in before else "created"})
    gone = [_shown(path, _WORK) for path in collector.deleted(before, after) if path.startswith(_WORK + b"/")]
    return Changes(described, gone, is_whole=after.is_whole)


def _file(path: bytes, top: bytes, seen: Seen) -> dict[str, Any]:
    return {
        "path": _shown(path, top),
        "size_bytes": seen.size_bytes,
        "handle": path.hex(),
        "inode": seen.inode,
    }


def _lying(path: bytes, seen: Seen) -> dict[str, Any]:
    return {
        "path": _shown(path, _WORK),
        "size_bytes": seen.size_bytes,
        "changed_ns": seen.changed_ns,
        "handle": _FOUND + path.hex(),
    }


def _raw(path: str) -> bytes:
    """A path in the working directory. Raises InvalidRequest."""
    try:
        raw = paths.raw(path)
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{path!r} is no file name: it is no text") from error
    except ValueError as error:
        raise InvalidRequest(str(error)) from error
    parts = raw.split(b"/")
    is_deep = len(parts) > collector.MAX_DEPTH + 1 or len(raw) > _MOST_PATH_BYTES
    if is_deep or b"\0" in raw or any(part in (b"", b".", b"..") or len(part) > 255 for part in parts):
        raise InvalidRequest(
            f"{path!r} is no path of a file in the working directory: it is relative, as 'data/sales.csv', of "
            f"at most {collector.MAX_DEPTH + 1} components of at most 255 bytes, which are not empty, `.` or `..`, and "
            "have no NUL"
        )
    if any(map(collector.is_ours, parts)):
        raise InvalidRequest(
            f"{path!r} is no path of a file in the working directory: names that begin with .belljar- are Belljar's own"
        )
    return raw


def _incoming(raw: bytes) -> bytes:
    return collector.INCOMING + hashlib.sha256(raw).hexdigest()[:32].encode()


def _not_there(path: str, error: OSError) -> NoSuchFile:
    why = "it is a directory" if isinstance(error, IsADirectoryError) else "there is no such file"
    return NoSuchFile(f"{path!r}: {why} in the working directory.")


def _shown(path: bytes, top: bytes) -> str:
    return paths.shown(path[len(top) + 1 :])
