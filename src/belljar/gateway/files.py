"""Files: named blobs with an owner and a time to live. Record and blob are made and go together.

A file that has expired keeps its record for a while, so that its owner is told what became of it.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import anyio
import structlog

from belljar.errors import InvalidRequest, NotFound
from belljar.gateway.blobs import Blobs
from belljar.gateway.store import NEVER, File, Store
from belljar.wire import media
from belljar.wire.ids import made_at, new_id

log = structlog.get_logger("belljar.gateway")

_RECORD_MICROSECONDS = 30 * 24 * 3600 * 1_000_000
"""For so long after a file has expired its record can be read."""


class FileExpired(NotFound):
    """The record is still there, the content is not."""

    details = {"error_code": "file_expired"}  # noqa: RUF012 - read only


class StorageQuotaExceeded(InvalidRequest):
    """The tenant's files would have more bytes than they may, or be more."""

    details = {"error_code": "storage_quota_exceeded"}  # noqa: RUF012 - read only


@dataclass(frozen=True)
class Saved:
    """A file just kept; `image` is its content where it is a picture that was asked to be echoed."""

    file: File
    digest: str
    image: bytes | None


@dataclass(frozen=True)
class Facts:
    """What a client says of a file that it sends."""

    filename: str
    mime_type: str | None
    """None where it does not know; then the bytes say."""
    keep_seconds: int | None
    """None for until it is deleted."""


@dataclass
class _Reader:
    """Passes pieces on, and remembers what the record needs to know about them."""

    echo_images: int
    most_bytes: int
    """That may be stored; one more raises StorageQuotaExceeded."""
    tenant: str
    arriving: Counter[str]
    """By tenant, what is on its way in together: it lies on the disk already."""
    size: int = 0
    head: bytes = b""
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    echo: list[bytes] | None = field(default_factory=list)

    async def through(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in pieces:
                self._see(piece)
                yield piece
        finally:
            self.arriving[self.tenant] -= self.size
            if not self.arriving[self.tenant]:
                del self.arriving[self.tenant]

    def _see(self, piece: bytes) -> None:
        self.size += len(piece)
        self.arriving[self.tenant] += len(piece)
        if self.arriving[self.tenant] > self.most_bytes:
            raise _over_quota()
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
    """All files. What runs make is kept for `keep_seconds`; a tenant may have `most_files`."""

    def __init__(self, store: Store, blobs: Blobs, keep_seconds: float, most_files: int) -> None:
        self.store = store
        self.blobs = blobs
        self.keep_microseconds = int(keep_seconds * 1_000_000)
        self.most_files = most_files
        self.arriving = Counter[str]()

    def of(self, tenant: str, most_bytes: int) -> TenantFiles:
        """Those of one tenant, which may have `most_bytes` together."""
        return TenantFiles(self, tenant, most_bytes)

    async def sweep(self) -> None:
        """Delete the content of what has expired, and the records of what has expired long ago."""
        now = now_microseconds()
        while expired := await self.store.expired_files(now):
            for file in expired:
                # The blob first: on a full disk no record can be changed before there is room again. Nobody is given
                # the content of a file that has expired, whatever its record says.
                await self.blobs.remove(file.id)
                await self.store.mark_emptied(file.id)
        await self.store.remove_emptied_files(now - _RECORD_MICROSECONDS)

    async def remove_orphans(self, others: set[str]) -> None:
        """Delete old blobs without a record: a server that was killed between the two leaves them. `others` stay."""
        for key in await self.blobs.remove_orphans(others | await self.store.all_file_ids()):
            log.info("blob without a record removed", key=key)


class TenantFiles:
    """One tenant's files; those of others are not there. Made by `Files.of`."""

    def __init__(self, files: Files, tenant: str, most_bytes: int) -> None:
        self._store = files.store
        self._blobs = files.blobs
        self._keep_microseconds = files.keep_microseconds
        self._arriving = files.arriving
        self._most_files = files.most_files
        self._tenant = tenant
        self._most_bytes = most_bytes

    async def keep(
        self, path: str, body: bytes | AsyncIterator[bytes], *, container_id: str, echo_images: int = 0
    ) -> Saved:
        """Store a file that a run made at `path`; what it is, its bytes say. Raises StorageQuotaExceeded."""
        filename = path.rpartition("/")[2]
        file_id, reader = await self._put(_pieces(body) if isinstance(body, bytes) else body, echo_images)
        mime_type = media.media_type(filename, reader.head)
        expires_at = now_microseconds() + self._keep_microseconds
        file = File(
            file_id,
            self._tenant,
            filename,
            path,
            mime_type,
            reader.size,
            container_id,
            made_at(file_id),
            expires_at,
        )
        async with self._unless_kept(file_id):
            await self._record(file)
        is_image = file.mime_type in media.IMAGES and reader.echo is not None
        image = b"".join(reader.echo or []) if is_image else None
        return Saved(file, reader.digest.hexdigest(), image)

    async def receive(self, body: AsyncIterator[bytes], facts: Callable[[], Facts]) -> File:
        """Store a file that a client sends. `facts` is asked when all has come: a form may say them last.

        Where either raises, nothing is kept. Raises StorageQuotaExceeded.
        """
        file_id, reader = await self._put(body, 0)
        async with self._unless_kept(file_id):
            return await self._received(file_id, reader, facts())

    async def _received(self, file_id: str, reader: _Reader, said: Facts) -> File:
        seconds = said.keep_seconds
        file = File(
            id=file_id,
            tenant=self._tenant,
            filename=said.filename,
            path=said.filename,
            mime_type=said.mime_type or media.media_type(said.filename, reader.head),
            size_bytes=reader.size,
            container_id=None,
            created_at=made_at(file_id),
            expires_at=NEVER if seconds is None else now_microseconds() + seconds * 1_000_000,
        )
        await self._record(file)
        return file

    async def _put(self, body: AsyncIterator[bytes], echo_images: int) -> tuple[str, _Reader]:
        stored = await self._store.stored_bytes(self._tenant, now_microseconds())
        reader = _Reader(echo_images, self._most_bytes - stored, self._tenant, self._arriving)
        file_id = new_id("file")
        async with self._unless_kept(file_id), aclosing(reader.through(body)) as pieces:
            await self._blobs.put(file_id, pieces)
        return file_id, reader

    @asynccontextmanager
    async def _unless_kept(self, file_id: str) -> AsyncIterator[None]:
        """A block that makes a part of a file: where it fails, or nobody waits for it, there is no such file."""
        try:
            yield
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._blobs.remove(file_id)  # first, as in `sweep`
                await self._store.remove_file(self._tenant, file_id)
            raise

    async def _record(self, file: File) -> None:
        # Here it is certain: others may have been stored since we looked.
        if not await self._store.add_file(file, self._most_bytes, self._most_files):
            raise _over_quota(self._most_files)

    async def find(self, file_id: str) -> File:
        """The record of a file, also of one that expired a short while ago. Raises NotFound where there is none."""
        file = await self._store.find_file(self._tenant, file_id)
        if file is None:
            raise NotFound(
                f"There is no file {file_id}: it was never made here, was deleted, or expired long ago."
            )
        return file

    async def some(self, file_ids: list[str]) -> list[File]:
        """Those of the records that there are, the newest first."""
        return await self._store.find_files(self._tenant, file_ids)

    async def older(self, than: str | None, container_id: str | None, most: int) -> list[File]:
        """Records, the newest first, that come after the id `than`; of one container where one is given."""
        return await self._store.older_files(self._tenant, than, container_id, most)

    async def newer(self, than: str, container_id: str | None, most: int) -> list[File]:
        """The other way: those just before `than`, the oldest first."""
        return await self._store.newer_files(self._tenant, than, container_id, most)

    async def open(self, file: File) -> AsyncIterator[bytes]:
        """A file's content in pieces. Raises FileExpired, and NotFound where the blob is gone."""
        if file.expires_at <= now_microseconds():
            raise FileExpired(
                f"The file {file.id} ({file.filename}) has expired, and its content is gone. Send it again."
            )
        try:
            return await self._blobs.open(file.id)
        except FileNotFoundError as error:
            raise NotFound(f"The content of {file.id} is gone.") from error

    def reader(self, file_id: str) -> Callable[[], AsyncIterator[bytes]]:
        """A way to read a file later. It raises as `find` and `open` do."""

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in await self.open(await self.find(file_id)):
                yield piece

        return pieces

    async def head(self, file: File, size: int) -> bytes:
        """A file's first `size` bytes. Raises as `open` does."""
        head = b""
        async for piece in await self.open(file):
            head += piece
            if len(head) >= size:
                break
        return head[:size]

    async def remove(self, file_id: str) -> None:
        """Delete a file. Raises NotFound where there is none."""
        file = await self.find(file_id)
        await self._blobs.remove(file.id)  # first, as in `sweep`: so a client can make room
        await self._store.remove_file(file.tenant, file.id)


def now_microseconds() -> int:
    return time.time_ns() // 1000


def _over_quota(most_files: int | None = None) -> StorageQuotaExceeded:
    number = "" if most_files is None else f", or be more than {most_files:,}"
    return StorageQuotaExceeded(
        "There is no room left for this file: with it your files would have more bytes than they may have "
        f"together{number}. "
        "Delete some that are not needed any more (GET /v1/files, DELETE /v1/files/{id})."
    )


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body
