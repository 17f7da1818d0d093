"""Files that hostile code has named, saved where their owner wants them: below one directory, and never over another.

Imported by the shortest way of `belljar run`: nothing but what Python has imported already.
"""

from __future__ import annotations

import errno
import os

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_ODD = frozenset('\\:*?"<>|\x7f')


def harmless(part: str) -> str:
    """A component of a result's path without what a terminal or another system takes for something else."""
    return "".join("_" if ord(c) < 32 or c in _ODD else c for c in part)


def make(directory: str, name: str) -> tuple[int, str]:
    """A new file below `directory` for one that the program called `name`: another name where it is taken.

    The program chose the name. It is made of components below one directory, and no link that lies there is followed.
    Returns its descriptor and its path. Raises OSError.
    """
    *above, last = [local(part) for part in name.split("/")]
    path = directory.rstrip("/") if directory not in ("", ".", "/") else directory.strip(".")
    fd = os.open(directory or ".", _DIRECTORY)
    try:
        for part in above:
            below, made = _free(part, fd, _enter)
            os.close(fd)
            fd = below
            path = f"{path}/{made}" if path else made
        file, made = _free(last, fd, _create)
    finally:
        os.close(fd)
    return file, f"{path.rstrip('/')}/{made}" if path else made


def _free(name: str, fd: int, take) -> tuple[int, str]:  # type: ignore[no-untyped-def] # Callable is of typing
    """What `take` opens in the directory `fd`, by this name or by the next that is not another's."""
    tried, count = name, 1
    stem, ending = os.path.splitext(name)
    while True:
        try:
            return take(tried, fd), tried
        except (FileExistsError, NotADirectoryError):
            pass
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        count += 1
        tried = f"{stem} ({count}){ending}"


def _create(name: str, fd: int) -> int:
    return os.open(name, _NEW, 0o666, dir_fd=fd)


def _enter(name: str, fd: int) -> int:
    try:
        os.mkdir(name, dir_fd=fd)
    except FileExistsError:
        pass
    return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)


def local(part: str) -> str:
    """Without what a terminal, a shell or another program would take for something else than a result."""
    clean = harmless(part)
    return f"_{clean}" if clean.startswith((".", "-")) or not clean else clean
