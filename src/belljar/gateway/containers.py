"""Containers by name, and the files that lie in their working directories.

Whoever works with a container has it alone, so all of this waits until code that runs there has ended. A download takes
it for one piece at a time: a client that reads slowly keeps nobody from running code.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from belljar import results
from belljar.gateway import listing
from belljar.gateway.access import Client
from belljar.gateway.parts import Parts
from belljar.gateway.placement import Container, Session
from belljar.inputs import checked_path
from belljar.wire.media import HEAD_BYTES, media_type
from belljar.wire.resources import (
    ContainerDocument,
    ContainerFileDeleted,
    ContainerFileDocument,
    ContainerFileList,
    ContainerList,
    ContainerRequest,
    rfc3339,
)


async def create(
    parts: Parts, asked: ContainerRequest, client: Client, runtime: str | None = None
) -> ContainerDocument:
    """A new one. `runtime` is that of the header, for a request whose body names none."""
    limits = parts.settings.limits(asked.limits)
    runtime = parts.runtimes.chosen(runtime if asked.runtime is None else asked.runtime, None)
    container = await parts.placement.create(limits, client.tenant, client.most_containers, runtime=runtime)
    return _document(parts, container)


async def read(parts: Parts, container_id: str, client: Client) -> ContainerDocument:
    container = parts.placement.find(container_id, client.tenant)
    use = await parts.placement.measured(container.id)
    return _document(parts, container).model_copy(update={"use": use})


def page(parts: Parts, parameters: list[tuple[str, str]], client: Client) -> ContainerList:
    """The containers of the tenant, the newest first: of `limit` and `after_id`. Raises InvalidRequest."""
    given = dict(parameters)
    limit = listing.limit(given.get("limit"))
    containers = parts.placement.all(client.tenant)
    if "after_id" in given:
        # Also of one that is gone by now: ids sort by the time at which they were made.
        containers = [one for one in containers if one.id < given["after_id"]]
    shown = containers[:limit]
    return ContainerList(
        data=[_document(parts, container) for container in shown],
        has_more=len(containers) > len(shown),
        first_id=shown[0].id if shown else None,
        last_id=shown[-1].id if shown else None,
    )


def _document(parts: Parts, container: Container) -> ContainerDocument:
    return ContainerDocument(
        id=container.id,
        created_at=rfc3339(container.created_at),
        last_used_at=rfc3339(container.last_used_at),
        expires_at=rfc3339(container.expires_at),
        limits=container.limits,
        runtime=container.runtime,
        isolation=parts.placement.description.isolation,
        state=container.state,
    )


def _found(parts: Parts, container_id: str, client: Client) -> Container:
    """One that can be used, and woken for it. Raises NotFound."""
    container = parts.placement.find(container_id, client.tenant)
    parts.runtimes.chosen(None, container)
    return container


async def list_files(parts: Parts, container_id: str, client: Client) -> ContainerFileList:
    container = _found(parts, container_id, client)
    async with parts.placement.use(container.id) as session:
        lying = await session.files()
    return ContainerFileList(data=[_file(file) for file in lying.files], is_whole=lying.is_whole)


async def put_file(
    parts: Parts, container_id: str, path: str, body: AsyncIterator[bytes], client: Client
) -> ContainerFileDocument:
    """Write a file as its bytes come in. Where they do not all come, what had the path has it still."""
    container = _found(parts, container_id, client)
    checked_path(path, "path")
    async with parts.placement.use(container.id) as session:
        await session.put(path, "", lambda: body)
        return _file(await session.find(path))


async def open_file(
    parts: Parts, container_id: str, path: str, client: Client
) -> tuple[results.Lying, str, AsyncIterator[bytes]]:
    """A file, its media type, and its content, which raises InvalidRequest where the file is changed meanwhile."""
    container = _found(parts, container_id, client)
    checked_path(path, "path")
    async with parts.placement.use(container.id) as session:
        file = await session.find(path)
        first = await _piece(session, file, 0)
    return file, media_type(path, first[:HEAD_BYTES]), _pieces(parts, container.id, file, first)


async def _pieces(parts: Parts, container_id: str, file: results.Lying, piece: bytes) -> AsyncIterator[bytes]:
    offset = 0
    while piece:
        yield piece
        offset += len(piece)
        if offset >= file.size_bytes:
            return
        async with parts.placement.use(container_id) as session:
            piece = await _piece(session, file, offset)


async def _piece(session: Session, file: results.Lying, offset: int) -> bytes:
    async with aclosing(session.read(file, offset)) as pieces:  # type: ignore[type-var]
        return await anext(pieces, b"")


async def delete_file(parts: Parts, container_id: str, path: str, client: Client) -> ContainerFileDeleted:
    container = _found(parts, container_id, client)
    checked_path(path, "path")
    async with parts.placement.use(container.id) as session:
        await session.remove(path)
    return ContainerFileDeleted(path=path)


def _file(file: results.Lying) -> ContainerFileDocument:
    return ContainerFileDocument(
        path=file.path, size_bytes=file.size_bytes, changed_at=rfc3339(file.changed_at)
    )
