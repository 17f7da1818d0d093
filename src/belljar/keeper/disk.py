"""Directories on the machine's own disk that guests wrote into: what they take, and getting rid of them.

Names are the guests' inventions, and nothing is followed. To look goes by paths, and ends at what is too deep for them;
to delete goes level by level with descriptors, so that neither deep trees nor long paths are a matter.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from belljar import kernel

MAX_DEPTH = 200
"""Each look at a directory walks to it from the top."""
_PATH_BYTES = 4096
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def usage(directory_fd: int, most: int) -> tuple[dict[int, int], int]:
    """The bytes on disk of everything below a directory, by inode, and how many names there are.

    Ends early when it has seen `most` names. What is too deep to be looked at counts as more than that.
    """
    found: dict[int, int] = {}
    names = 0
    pending = [b"."]
    while pending and names <= most:
        path = pending.pop()
        if path.count(b"/") > MAX_DEPTH or len(path) >= _PATH_BYTES:
            return found, most + 1
        try:
            fd = _look_into(directory_fd, path)
        except OSError:
            continue  # gone, or no directory any more
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    names += 1
                    if names > most:
                        break
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        found[status.st_ino] = status.st_blocks * 512
                        if stat.S_ISDIR(status.st_mode):
                            pending.append(path + b"/" + os.fsencode(entry.name))
        finally:
            os.close(fd)
    return found, names


def _look_into(directory_fd: int, path: bytes) -> int:
    """Open a directory, though it may forbid its owner to look into it."""
    try:
        return kernel.openat2(directory_fd, path, _DIRECTORY)
    except PermissionError:
        fd = kernel.openat2(directory_fd, path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.chmod(f"/proc/self/fd/{fd}", 0o700)
        finally:
            os.close(fd)
        return kernel.openat2(directory_fd, path, _DIRECTORY)


def remove_tree(path: Path) -> None:
    """Delete a directory and everything in it, all who could write there being dead. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        _open_up(path.name, parent := os.open(path.parent, _DIRECTORY))
        try:
            _empty(parent, path.name)
            os.rmdir(path.name, dir_fd=parent)
        finally:
            os.close(parent)


def _empty(parent_fd: int, name: str) -> None:
    """Delete what is in the directory `name`: its deeper directories are first moved up, one below the other."""
    top = os.open(name, _DIRECTORY, dir_fd=parent_fd)
    number = 0
    try:
        pending = [""]
        while pending:
            current = pending.pop()
            fd = os.open(current, _DIRECTORY, dir_fd=top) if current else os.dup(top)
            try:
                for entry in os.listdir(fd):
                    if not current and entry in pending:
                        continue
                    if not stat.S_ISDIR(os.stat(entry, dir_fd=fd, follow_symlinks=False).st_mode):
                        os.unlink(entry, dir_fd=fd)
                        continue
                    number += 1
                    _open_up(entry, fd)
                    flat = f".belljar-{number}-{os.urandom(8).hex()}"
                    os.rename(entry, flat, src_dir_fd=fd, dst_dir_fd=top)
                    pending.append(flat)
            finally:
                os.close(fd)
            if current:
                os.rmdir(current, dir_fd=top)
    finally:
        os.close(top)


def _open_up(name: str, parent_fd: int) -> None:
    """A directory may forbid its owner to look into it."""
    os.chmod(name, 0o700, dir_fd=parent_fd)
