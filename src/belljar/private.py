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
    path.mkdir(
        exist_ok=True, mode=0o700
    )  # its `parents` would make those above it only, with no mode of ours


def make_file(path: Path) -> None:
    """Make an empty file that only its owner may read; close one that is there and open to others. Raises OSError."""
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        if stat.S_IMODE(os.fstat(fd).st_mode) & 0o077:
            os.fchmod(fd, 0o600)
    finally:
        os.close(fd)


def is_open(directory: Path) -> bool:
    """Whether others than its owner may list or enter a directory."""
    return bool(stat.S_IMODE(directory.stat().st_mode) & 0o077)
