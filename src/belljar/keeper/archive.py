"""A session's files as one stream of bytes, to be kept while nobody needs the session, and back into a fresh one.

The stream is messages (see `frames`), in the order of a walk: `directory` goes one level down and `up` one level up
again, so a name stands there once, however deep it lies; between them come `file`, the rest of its `data`, and `link`.
What has a name has it, as bytes, at the head of the body. `end` is last: without it the archive was cut short.

Every name, size and link is the guest's invention. All is opened from descriptors, downwards, with openat2 that follows
no link and crosses no mount; links are read and not followed, and what is neither file, directory nor link is left out.
Holes stay holes, and a file of several names becomes several files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, TypeVar

from belljar import kernel
from belljar.errors import NotKept
from belljar.frames import Decoder, Message, ProtocolError, encode
from belljar.keeper import collector

T = TypeVar("T")

PIECE_BYTES = 1024 * 1024
"""Of an archive, in one message."""
_ENTRY_BYTES = 512
"""More than the head of an entry takes, and its name."""
_BLOCK_BYTES = 4096
"""In which files take space."""
_DATA_BYTES = 256 * 1024
_MAX_BODY_BYTES = _DATA_BYTES + _BLOCK_BYTES
_NEAR, _EVERY = 64, 64
"""Levels of which descriptors are kept: the last ones, and one in so many of the others."""
_VERSION = 1
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_GONE = {
    errno.ENOENT,
    errno.ELOOP,
    errno.EINVAL,
    errno.ENOTDIR,
    errno.EXDEV,
    errno.EAGAIN,
    errno.ENXIO,
    errno.ESTALE,
}
"""What a path says that is not any more what it was when its directory was listed."""

Tops = Mapping[bytes, tuple[int, bytes]]
"""What is packed: by its name in the archive a descriptor, and a path below it."""


class Packer:
    """Packs what lies below `tops` as it is asked for pieces. Runs in threads, one at a time.

    Raises NotKept for what would not fit into a session of so many `disk_bytes` and `entries`, and OSError.
    """

    def __init__(self, tops: Tops, disk_bytes: int, entries: int) -> None:
        self._disk_bytes = disk_bytes
        self._disk_left = disk_bytes
        self._entries_left = entries
        self._bytes_left = disk_bytes + entries * _ENTRY_BYTES
        self._messages = self._all(tops)

    def piece(self) -> bytes:
        """The next PIECE_BYTES, or some more; nothing after the last."""
        parts: list[bytes] = []
        size = 0
        for message in self._messages:
            parts.append(encode(message))
            size += len(parts[-1])
            if size >= PIECE_BYTES:
                break
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise self._too_much()
        return b"".join(parts)

    def close(self) -> None:
        """Let go of all descriptors."""
        self._messages.close()

    def _all(self, tops: Tops) -> Generator[Message, None, None]:
        yield Message("archive", {"version": _VERSION})
        for label, (fd, path) in tops.items():
            yield from self._below(label, fd, path)
        yield Message("end", {})

    def _below(self, label: bytes, fd: int, path: bytes) -> Iterator[Message]:
        descent = _Descent(fd)
        pending: list[list[bytes]] = []
        """Directories that are still to be seen, of each level that we are in."""
        try:
            while True:
                if not pending:
                    name = path
                elif pending[-1]:
                    name = pending[-1].pop()
                else:
                    descent.leave()
                    pending.pop()
                    yield Message("up", {})
                    if not pending:
                        return
                    continue
                try:
                    status = descent.enter(name)
                except OSError as error:
                    if error.errno not in _GONE:
                        raise
                    if not pending:
                        return
                    continue
                yield _entry("directory", name if pending else label, status, 0o1777)
                pending.append([])
                yield from self._entries(descent.fd, pending[-1])
        finally:
            descent.close()

    def _entries(self, directory: int, subdirectories: list[bytes]) -> Iterator[Message]:
        """What lies in one directory, but for its directories, whose names are added to `subdirectories`."""
        with os.scandir(directory) as entries:
            names = [os.fsencode(entry.name) for entry in entries]
        for name in names:
            if collector.is_ours(name):
                continue
            self._entries_left -= 1
            if self._entries_left < 0:
                raise self._too_much()
            try:
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    subdirectories.append(name)
                elif stat.S_ISLNK(status.st_mode):
                    target = os.readlink(name, dir_fd=directory)
                    yield _entry("link", name, status, 0, target)
                elif stat.S_ISREG(status.st_mode):
                    yield from self._file(directory, name)
            except OSError as error:
                if error.errno not in _GONE:
                    raise

    def _file(self, directory: int, name: bytes) -> Iterator[Message]:
        fd, status = _open(directory, name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            if not stat.S_ISREG(status.st_mode):
                return
            if (mode := stat.S_IMODE(status.st_mode)) != stat.S_IMODE(os.fstat(fd).st_mode):
                os.fchmod(fd, mode)
            yield _entry("file", name, status, 0o777)
            for offset, data in _data(fd, status.st_size):
                self._disk_left -= _blocks(data)
                if self._disk_left < 0:
                    raise self._too_much()
                yield Message("data", {"offset": offset}, data)
        finally:
            os.close(fd)

    def _too_much(self) -> NotKept:
        return NotKept(
            f"the session's files are more than its disk of {self._disk_bytes} bytes would hold again, "
            "for each name of a file is kept as a file of its own"
        )


def _entry(kind: str, name: bytes, status: os.stat_result, modes: int, rest: bytes = b"") -> Message:
    """`modes` are the bits of the mode that are kept: those for other identities are none."""
    seconds, nanoseconds = divmod(status.st_mtime_ns, 1_000_000_000)
    head = {
        "name": len(name),
        "mode": status.st_mode & modes,
        "mtime": [seconds, nanoseconds],
        "size": status.st_size if kind == "file" else 0,
    }
    return Message(kind, head, name + rest)


def _blocks(data: bytes) -> int:
    """The space that it takes."""
    return -(-len(data) // _BLOCK_BYTES) * _BLOCK_BYTES


def _data(fd: int, size: int) -> Iterator[tuple[int, bytes]]:
    """What is not a hole, up to the size that the file had: pieces with their offsets."""
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(fd, offset, os.SEEK_DATA)
            end = min(size, os.lseek(fd, offset, os.SEEK_HOLE))
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole to the end
                return
            raise
        while offset < end:
            data = os.pread(fd, min(_DATA_BYTES, end - offset), offset)
            if not data:
                return
            yield offset, data
            offset += len(data)


class Unpacker:
    """Writes an archive, in pieces as they come, into a session in which no code has run.

    Runs in threads, one at a time, each as the session's own user (`collector.acting_as`). Raises NotKept and OSError.
    """

    def __init__(self, tops: Tops, disk_bytes: int) -> None:
        self._tops = tops
        self._disk_left = disk_bytes
        """Not every session has a file system of its own, that would bound it."""
        self._decoder = Decoder(_MAX_BODY_BYTES)
        self._descent: _Descent | None = None
        self._directories: list[dict[str, Any]] = []
        """The heads of those that we are in: a directory gets its mode when it has all that lies in it."""
        self._file: tuple[int, dict[str, Any]] | None = None
        self.is_complete = False

    def feed(self, data: bytes) -> None:
        """Take in what comes next of the archive."""
        try:
            for message in self._decoder.feed(data):
                if message.kind != "data":
                    self._finish_file()
                self._take(message)
        except (ProtocolError, LookupError, TypeError, ValueError) as error:
            raise NotKept("what was kept of the session's files is no archive of ours") from error

    def close(self) -> None:
        """Let go of all descriptors."""
        if self._file is not None:
            os.close(self._file[0])
        if self._descent is not None:
            self._descent.close()
        self._file = self._descent = None

    def _take(self, message: Message) -> None:
        kind, head, body = message
        if kind == "archive":
            if head["version"] != _VERSION:
                raise NotKept(f"the session's files were kept in another form: {head['version']!r}")
        elif kind == "end":
            if self._directories:
                raise ValueError("an end in a directory")
            self.is_complete = True
        elif kind == "up":
            self._up()
        elif kind == "data":
            if self._file is None:
                raise ValueError("data of no file")
            self._disk_left -= _blocks(body)
            if self._disk_left < 0:
                raise NotKept("the session's disk does not hold what was kept of its files")
            _write(self._file[0], body, head["offset"])
        elif kind == "directory":
            self._down(_name(head, body), head)
        elif self._descent is None:
            raise ValueError("an entry outside of a directory")
        elif kind == "link":
            self._link(_name(head, body), body[head["name"] :], head)
        elif kind == "file":
            self._file = (self._new_file(_name(head, body)), head)
        else:
            raise ValueError(kind)

    def _down(self, name: bytes, head: dict[str, Any]) -> None:
        if self._descent is None:
            fd, name = self._tops[name]
            self._descent = _Descent(fd)
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self._descent.fd)
        self._descent.enter(name)
        self._directories.append(head)

    def _up(self) -> None:
        head = self._directories.pop()
        assert self._descent is not None
        os.fchmod(self._descent.fd, head["mode"])
        os.utime(self._descent.fd, ns=_times(head))
        self._descent.leave()
        if not self._directories:
            self._descent.close()
            self._descent = None

    def _link(self, name: bytes, target: bytes, head: dict[str, Any]) -> None:
        assert self._descent is not None
        directory = self._descent.fd
        _replace(directory, name, lambda: os.symlink(target, name, dir_fd=directory))
        os.utime(name, ns=_times(head), dir_fd=directory, follow_symlinks=False)

    def _new_file(self, name: bytes) -> int:
        assert self._descent is not None
        directory = self._descent.fd
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CREAT | os.O_EXCL
        return _replace(directory, name, lambda: kernel.openat2(directory, name, flags, 0o600))

    def _finish_file(self) -> None:
        if self._file is not None:
            (fd, head), self._file = self._file, None
            try:
                os.ftruncate(fd, head["size"])
                os.fchmod(fd, head["mode"])
                os.utime(fd, ns=_times(head))
            finally:
                os.close(fd)


def _replace(directory: int, name: bytes, make: Callable[[], T]) -> T:
    """Make something of that name, in place of what a fresh session may have there."""
    try:
        return make()
    except FileExistsError:
        os.unlink(name, dir_fd=directory)
        return make()


def _name(head: dict[str, Any], body: bytes) -> bytes:
    name = body[: head["name"]]
    if len(name) != head["name"] or name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise ValueError("no name")
    return name


def _times(head: dict[str, Any]) -> tuple[int, int]:
    seconds, nanoseconds = head["mtime"]
    return (seconds * 1_000_000_000 + nanoseconds,) * 2


def _write(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


class _Descent:
    """The way from a directory down to where we are, with descriptors of the nearest levels and of some farther ones.

    Trees can be tens of thousands of levels deep: a descriptor for each would be too many, one path for all too long.
    """

    def __init__(self, top_fd: int) -> None:
        self._names: list[bytes] = []
        self._fds = [top_fd]
        """Of the top, which is not ours, and of each level; -1 where there is none at the moment."""
        self._modes: list[int | None] = []
        """What the levels' modes were, where they had to be opened up."""

    @property
    def fd(self) -> int:
        """Of the directory where we are."""
        return self._fds[-1]

    def enter(self, name: bytes) -> os.stat_result:
        """Go down into a directory; returns its status as it was before. Raises OSError."""
        fd, status = _open(self.fd, name, _DIRECTORY)
        is_opened_up = stat.S_IMODE(os.fstat(fd).st_mode) != stat.S_IMODE(status.st_mode)
        self._names.append(name)
        self._fds.append(fd)
        self._modes.append(stat.S_IMODE(status.st_mode) if is_opened_up else None)
        far = len(self._fds) - 1 - _NEAR
        if far > 0 and far % _EVERY and self._fds[far] >= 0:
            os.close(self._fds[far])
            self._fds[far] = -1
        return status

    def leave(self) -> None:
        """Go up to the directory before. Raises OSError."""
        fd, mode = self._fds.pop(), self._modes.pop()
        self._names.pop()
        try:
            if mode is not None:
                os.fchmod(fd, mode)
        finally:
            os.close(fd)
        # From the last that we have a descriptor of: at most _EVERY levels, and then as many that need none.
        start = len(self._fds) - 1
        while self._fds[start] < 0:
            start -= 1
        for level in range(start + 1, len(self._fds)):
            self._fds[level] = kernel.openat2(self._fds[level - 1], self._names[level - 1], _DIRECTORY)

    def close(self) -> None:
        """Go all the way up."""
        with contextlib.suppress(OSError):
            while self._names:
                self.leave()
        for fd in self._fds[1:]:
            if fd >= 0:
                os.close(fd)
        self._names, self._fds, self._modes = [], self._fds[:1], []


def _open(directory: int, name: bytes, flags: int) -> tuple[int, os.stat_result]:
    """Open a file or directory, though its mode may forbid that to its owner, who we then are; its status as it was.

    Its mode is then another, until somebody puts it back.
    """
    try:
        fd = kernel.openat2(directory, name, flags)
    except PermissionError:
        path_fd = kernel.openat2(directory, name, os.O_PATH | os.O_NOFOLLOW)
        try:
            status = os.fstat(path_fd)
            os.chmod(f"/proc/self/fd/{path_fd}", 0o700)
        finally:
            os.close(path_fd)
        return kernel.openat2(directory, name, flags), status
    return fd, os.fstat(fd)
