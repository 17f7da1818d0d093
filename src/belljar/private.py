"""What nobody but its owner may read: the hashes of keys, what people said, what their code made."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def make_directory(path: Path) -> None:
    """Make a directory that only its owner may enter, and as usual those above it. Raises OSError.

    One that is there stays as it is: it may be one that its owner shares on purpose, so see `is_open`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not with `parents`, which gives the mode to the last one alone, wherever one above it is the state directory.
    path.mkdir(exist_ok=True, mode=0o700)


def make_file(path: Path) -> None:
    """Make an empty file that only its owner may read, or close one that is there to others: see `close`."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        close(path)


def close(path: Path) -> None:
    """Let nobody but its owner read a file, if there is one; one of somebody else's stays as it is.

    It is not opened: whoever closes a descriptor of a database lets go of the locks that this process has on it.
    """
    try:
        if is_open(path):
            path.chmod(0o600)
    except (FileNotFoundError, PermissionError):
        return


def is_open(path: Path) -> bool:
    """Whether others than its owner may read a file, or list or enter a directory."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
