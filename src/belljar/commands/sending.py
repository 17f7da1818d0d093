"""Files that commands send, with a bar that shows how far they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from belljar.commands import Failure
from belljar.commands.asking import ask

if TYPE_CHECKING:
    import httpx2
    from rich.progress import Progress

_PIECE_BYTES = 256 * 1024


class Sent:
    """A file on its way."""

    def __init__(self, source: IO[bytes], name: str, progress: Progress) -> None:
        self._source = source
        self._progress = progress
        try:
            total = os.fstat(source.fileno()).st_size or None
        except OSError:
            total = None
        self._task = progress.add_task(name, total=total)

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(size)
        self._progress.advance(self._task, len(piece))
        return piece

    def pieces(self) -> Iterator[bytes]:
        while piece := self.read(_PIECE_BYTES):
            yield piece


def opened(path: Path) -> IO[bytes]:
    """Raises Failure."""
    try:
        return path.open("rb")
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}") from error


def upload(client: httpx2.Client, path: Path, name: str, progress: Progress) -> Any:
    """A file for the Files API. Raises Failure."""
    with opened(path) as source:
        return ask(client, "POST", "/v1/files", files={"file": (name, Sent(source, name, progress))})
