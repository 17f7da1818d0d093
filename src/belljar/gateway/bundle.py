"""Many files of one run, as one ZIP archive that is written while they are read.

What is in it was made by the run: names are made such that they mean the same everywhere, and no two are one file where
case or forms of letters do not count. Together the files are no larger than the session's disk, and so is the archive,
but for the names.
"""

from __future__ import annotations

import contextlib
import time
import unicodedata
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import anyio.to_thread

from belljar.errors import InvalidRequest
from belljar.results import WorkFile
from belljar.saving import harmless

MOST_FILES = 100
"""That a run gives back; where it has made more, the last of them is an archive of the rest."""
_NAME = "files.zip"
_LARGE_BYTES = 64 * 1024
"""A piece that is packed in a thread: other requests go on."""

Read = Callable[[WorkFile], AsyncIterator[bytes]]


@dataclass(frozen=True)
class Bundle:
    """The files that come as one."""

    name: str
    files: Sequence[WorkFile]
    packed: list[str] = field(default_factory=list)
    """The names of those that are in the archive, once it has been made."""

    async def pieces(self, read: Read) -> AsyncGenerator[bytes, None]:
        """The archive. A file that has been removed meanwhile is not in it."""
        sink = _Sink()
        taken: dict[str, int] = {}
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:  # type: ignore[call-overload]
            for file in self.files:
                content = read(file)
                try:
                    first = await anext(content, b"")
                except InvalidRequest:
                    continue
                entry = zipfile.ZipInfo(_free(file.path, taken), time.localtime()[:6])
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                self.packed.append(entry.filename)
                with archive.open(entry, "w", force_zip64=file.size_bytes >= zipfile.ZIP64_LIMIT) as target:
                    await _write(target.write, first)
                    with contextlib.suppress(
                        InvalidRequest
                    ):  # it is gone now, and as far as it came it is kept
                        async for piece in content:
                            await _write(target.write, piece)
                            yield sink.take()
                if sink.size >= _LARGE_BYTES:
                    yield sink.take()
        yield sink.take()


def split(files: Sequence[WorkFile]) -> tuple[list[WorkFile], Bundle | None]:
    """The files that come one by one, and the others, if there are so many: first come those that lie highest."""
    if len(files) <= MOST_FILES:
        return list(files), None
    ranked = sorted(files, key=lambda file: file.path.count("/"))
    taken = {_key(file.path) for file in files}
    name, count = _NAME, 1
    while _key(name) in taken:
        count += 1
        name = f"files ({count}).zip"
    return ranked[: MOST_FILES - 1], Bundle(name, ranked[MOST_FILES - 1 :])


class _Sink:
    """What an archive is written into, piece by piece."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts, self.size = [], 0
        return data


async def _write(write: Callable[[bytes], int], piece: bytes) -> None:
    if len(piece) < _LARGE_BYTES:
        write(piece)
    else:
        await anyio.to_thread.run_sync(write, piece)


def _free(path: str, taken: dict[str, int]) -> str:
    """The name of a file in the archive: another one where it is taken. `taken` has how often each was asked for."""
    plain = "/".join(map(harmless, path.split("/")))
    above, slash, last = plain.rpartition("/")
    stem, dot, ending = last.rpartition(".")
    if not stem:
        stem, dot, ending = last, "", ""
    name, wanted = plain, _key(plain)
    while _key(name) in taken:
        taken[wanted] += 1
        name = f"{above}{slash}{stem} ({taken[wanted]}){dot}{ending}"
    taken[_key(name)] = 1
    return name


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
