"""Files: named blobs with an owner and a time to live. Record and blob are made and go together."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import structlog

from belljar.errors import NotFound
from belljar.gateway.blobs import Blobs
from belljar.gateway.store import TENANT, File, Store
from belljar.wire import media
from belljar.wire.ids import new_id

log = structlog.get_logger("belljar.gateway")


@dataclass(frozen=True)
class Saved:
    """A file just kept; `image` is its content where it is a picture that was asked to be echoed."""

    file: File
    digest: str
    image: bytes | None


@dataclass
class _Reader:
    """Passes pieces on, and remembers what the record needs to know about them."""

    echo_images: int
    size: int = 0
    head: bytes = b""
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    echo: list[bytes] | None = field(default_factory=list)

    def see(self, piece: bytes) -> None:
        self.size += len(piece)
        self.digest.update(piece)
        if len(self.head) < media.HEAD_BYTES:
            self.head += piece[: media.HEAD_BYTES - len(self.head)]
        if self.echo is not None:
            is_image = media.media_type("", self.head) in media.IMAGES
            if is_image and self.size <= self.echo_images:
                self.echo.append(piece)
            elif len(self.head) >= 16:
                self.echo = None
            else:
                self.echo.append(piece)


class Files:
    """Keeps files for `keep_seconds`."""

    def __init__(self, store: Store, blobs: Blobs, keep_seconds: float) -> None:
        self._store = store
        self._blobs = blobs
        self._keep_microseconds = int(keep_seconds * 1_000_000)

    async def keep(
        self, path: str, body: bytes | AsyncIterator[bytes], *, container_id: str | None, echo_images: int = 0
    ) -> Saved:
        """Store a file that a run made at `path`; what it is, its bytes say."""
        file_id = new_id("file")
        reader = _Reader(echo_images)
        await self._blobs.put(file_id, _through(body, reader))
        filename = path.rpartition("/")[2]
        now = now_microseconds()
        file = File(
            id=file_id,
            tenant=TENANT,
            filename=filename,
            path=path,
            mime_type=media.media_type(filename, reader.head),
            size_bytes=reader.size,
            container_id=container_id,
            created_at=now,
            expires_at=now + self._keep_microseconds,
        )
        await self._store.add_file(file)
        is_image = file.mime_type in media.IMAGES and reader.echo is not None
        image = b"".join(reader.echo or []) if is_image else None
        return Saved(file, reader.digest.hexdigest(), image)

    async def find(self, file_id: str) -> File:
        """The record of a file. Raises NotFound where there is none, or no more."""
        file = await self._store.find_file(TENANT, file_id)
        if file is None or file.expires_at <= now_microseconds():
            raise NotFound(
                f"There is no file {file_id}: it was never made here, was deleted, or has expired."
            )
        return file

    async def open(self, file: File) -> AsyncIterator[bytes]:
        """A file's content in pieces. Raises NotFound where the blob is gone."""
        try:
            return await self._blobs.open(file.id)
        except FileNotFoundError as error:
            raise NotFound(f"The content of {file.id} is gone.") from error

    async def remove(self, file_id: str) -> None:
        """Delete a file. Raises NotFound where there is none."""
        file = await self.find(file_id)
        await self._forget(file)

    async def sweep(self) -> None:
        """Delete what has expired."""
        for file in await self._store.expired_files(now_microseconds()):
            await self._forget(file)

    async def remove_orphans(self, others: set[str]) -> None:
        """Delete blobs without a record: a server that was killed between the two leaves them. `others` stay."""
        for key in await self._blobs.remove_orphans(others | await self._store.all_file_ids()):
            log.info("blob without a record removed", key=key)

    async def _forget(self, file: File) -> None:
        # The record first: a record without a blob would be a promise that cannot be kept.
        await self._store.remove_file(file.tenant, file.id)
        await self._blobs.remove(file.id)


def now_microseconds() -> int:
    return time.time_ns() // 1000


async def _through(body: bytes | AsyncIterator[bytes], reader: _Reader) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        reader.see(body)
        yield body
        return
    async for piece in body:
        reader.see(piece)
        yield piece
