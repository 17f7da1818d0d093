"""The session's files, seen from outside: every path is the guest's invention, and may change while we look.

All access starts from one descriptor of the box's files directory, made before the guest was born. Nothing is
opened through a link of any kind or across a mount point, so whatever is swapped under us, what we read is
the session's own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from belljar import kernel

MAX_ENTRIES = 20_000
"""How many directory entries one look takes in, and so the most files that one run gives back."""
_FEW_ENTRIES = 48
MAX_PATHS_BYTES = 2 * 1024 * 1024
"""Of all paths that one look keeps, which is some hundred for each entry: they could have 4,096."""
MAX_DEPTH = 16
_PATH_BYTES = 4096 - 1
"""The longest path that the kernel opens: a longer one could be listed, and never read."""
INCOMING = b".belljar-"
"""Files on their way in have names that begin so, until they are complete."""
_SKIPPED = {b"__pycache__", b".ipynb_checkpoints"}


@dataclass(frozen=True)
class Seen:
    """Enough to tell whether a file is still what it was."""

    inode: int
    size_bytes: int
    changed_ns: int


class Listing(dict[bytes, Seen]):
    """What was seen, by path relative to the files directory."""

    is_whole = True
    """Nothing was left out for being too much: what is not in it is not there."""


def look(files_fd: int, *tops: bytes, max_depth: int = MAX_DEPTH) -> Listing:
    """The regular files below `tops`, in the order of their names; hidden build litter is left out.

    All tops together have one budget, and the first that are named take from it first.
    """
    return _look(files_fd, tops, MAX_ENTRIES, max_depth)[0]


def is_directory(files_fd: int, path: bytes) -> bool:
    """Whether there is a directory of that path, with no link on the way."""
    try:
        os.close(kernel.openat2(files_fd, path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW))
    except OSError:
        return False
    return True


def find(files_fd: int, path: bytes) -> Seen:
    """A regular file, with no link on the way. Raises OSError where there is none."""
    fd = kernel.openat2(files_fd, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, "it is no regular file")
    return Seen(status.st_ino, status.st_size, status.st_ctime_ns)


def look_quickly(files_fd: int, *tops: bytes, max_depth: int = MAX_DEPTH) -> Listing | None:
    """The same where it takes microseconds; None where there is more to be seen."""
    found, budget = _look(files_fd, tops, _FEW_ENTRIES, max_depth)
    return found if budget > 0 else None


def _look(files_fd: int, tops: Sequence[bytes], budget: int, max_depth: int) -> tuple[Listing, int]:
    """What was found, and what is left of the budget: nothing of it where not all was seen."""
    found = Listing()
    room = MAX_PATHS_BYTES
    pending = [(top, 0) for top in reversed(tops)]
    while pending and budget > 0 and room > 0:
        path, depth = pending.pop()
        try:
            directory = kernel.openat2(files_fd, path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # gone, or no directory any more
        try:
            names = sorted(_names(directory, budget), reverse=True)
            budget -= len(names)
            for name in names:
                whole = path + b"/" + name
                if name in _SKIPPED or is_ours(name):
                    continue
                if len(whole) > min(room, _PATH_BYTES):
                    found.is_whole = False
                    continue
                with contextlib.suppress(OSError):
                    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        found[whole] = Seen(status.st_ino, status.st_size, status.st_ctime_ns)
                        room -= len(whole)
                    elif stat.S_ISDIR(status.st_mode) and depth < max_depth:
                        pending.append((whole, depth + 1))
                        room -= len(whole)
        finally:
            os.close(directory)
    in_order = Listing(sorted(found.items()))
    in_order.is_whole = found.is_whole and not pending and budget > 0
    return in_order, budget


def _names(directory_fd: int, limit: int) -> Iterator[bytes]:
    with os.scandir(directory_fd) as entries:
        for count, entry in enumerate(entries):
            if count >= limit:
                return
            yield os.fsencode(entry.name)


def changed(before: Listing, after: Listing) -> list[tuple[bytes, Seen]]:
    """What is new or different in `after`."""
    return [(path, seen) for path, seen in after.items() if before.get(path) != seen]


def deleted(before: Listing, after: Listing) -> list[bytes]:
    """What is not there any more; nothing where that cannot be told."""
    return [path for path in before if path not in after] if after.is_whole else []


def within(files: list[dict[str, Any]], most_bytes: int) -> list[dict[str, Any]]:
    """As many of the files, {size_bytes, …}, as are together no larger than the session's disk: several names of one
    file, and files with holes, could be.
    """
    kept: list[dict[str, Any]] = []
    for file in files:
        if file["size_bytes"] <= most_bytes:
            most_bytes -= file["size_bytes"]
            kept.append(file)
    return kept


def read(files_fd: int, path: bytes, seen: Seen, offset: int, length: int) -> bytes:
    """Part of a file that `look` saw: at most what it held then, whatever it has grown to.

    Raises FileNotFoundError when it is gone or another file has its name.
    """
    fd = kernel.openat2(files_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_ino != seen.inode:
            raise FileNotFoundError(path)
        return os.pread(fd, max(0, min(length, seen.size_bytes - offset)), offset)
    finally:
        os.close(fd)


def make_readable(files_fd: int, path: bytes, seen: Seen) -> Seen:
    """Let the owner read a file that `look` saw, who may have no right to: its status since.

    That is who we are, unless we are root. Raises OSError.
    """
    fd = kernel.openat2(files_fd, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_ino != seen.inode:
            raise FileNotFoundError(path)
        os.chmod(f"/proc/self/fd/{fd}", stat.S_IMODE(status.st_mode) | stat.S_IRUSR)
        return Seen(seen.inode, seen.size_bytes, os.fstat(fd).st_ctime_ns)
    finally:
        os.close(fd)


def is_ours(name: bytes) -> bool:
    """Whether a file is one of ours on its way in, and no result."""
    return name.startswith(INCOMING)


def mend(files_fd: int, directories: Iterable[bytes], *, owner: int) -> None:
    """Have each of `directories` be one: what is there instead gets another name."""
    for name in directories:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(name, dir_fd=files_fd, follow_symlinks=False).st_mode):
                continue
            aside = name + b"-" + os.urandom(4).hex().encode()
            with acting_as(owner):
                os.rename(name, aside, src_dir_fd=files_fd, dst_dir_fd=files_fd)
        with acting_as(owner):
            os.mkdir(name, 0o755, dir_fd=files_fd)


def rename(files_fd: int, directory: bytes, old: bytes, new: bytes, *, owner: int) -> None:
    """Give a file in `directory` another path there, replacing what has it; directories above it are made."""
    with acting_as(owner), contextlib.ExitStack() as stack:
        from_fd = kernel.openat2(files_fd, directory, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, from_fd)
        above, fd = directory, from_fd
        *parents, last = new.split(b"/")
        for name in parents:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=fd)
            above += b"/" + name
            fd = kernel.openat2(files_fd, above, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            stack.callback(os.close, fd)
        os.rename(old, last, src_dir_fd=from_fd, dst_dir_fd=fd)


def remove(files_fd: int, path: bytes) -> None:
    """Delete a file, or a link. Raises OSError where there is none."""
    directory, _, name = path.rpartition(b"/")
    fd = kernel.openat2(files_fd, directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.unlink(name, dir_fd=fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def acting_as(owner: int) -> Iterator[None]:
    """As root: make files as the guest's uid. A file system of the box cannot hold those of another."""
    is_root = os.geteuid() == 0
    if is_root:
        kernel.set_filesystem_ids(owner, owner)
    try:
        yield
    finally:
        if is_root:
            kernel.set_filesystem_ids(0, 0)


def write(files_fd: int, path: bytes, data: bytes, *, append: bool, owner: int) -> None:
    """Write into a file of the session as its own user `owner` (a uid and gid of this machine).

    The first piece replaces whatever had the name. The file-system identity is switched for the calling thread only.
    """
    with acting_as(owner):
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        if not append:
            with contextlib.suppress(FileNotFoundError):
                remove(files_fd, path)
            flags |= os.O_CREAT | os.O_EXCL
        fd = kernel.openat2(files_fd, path, flags | (os.O_APPEND if append else 0), 0 if append else 0o644)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise FileExistsError(path)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
