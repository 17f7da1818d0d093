"""Containers on the shelf: the files of those that are asleep, as archives that nobody here looks into, and what the
next server has to know of all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import anyio

from belljar import link
from belljar.builds import link_name
from belljar.errors import NotKept, StoreFailed
from belljar.gateway.blobs import Blobs
from belljar.gateway.files import now_microseconds
from belljar.gateway.placement import Container
from belljar.gateway.store import KnownContainer, Store
from belljar.records import Limits
from belljar.wire.ids import new_id
from belljar.wire.resources import rfc3339


@dataclass(frozen=True)
class Archive:
    """A container's files as they were at one moment, microseconds since 1970."""

    key: str
    made_at: int
    given: dict[str, str]
    """`Container.given`, as it was then."""

    def restored(self, lost: str) -> str:
        """What is to be said of the first run after it was brought back; `lost` as in `Entry`."""
        if not lost:
            return "The container had been put away since it was last used: its files are back, its variables are gone."
        return (
            f"The container comes back as it was when it was last put away ({rfc3339(self.made_at)}), for {lost}: "
            "what its files became since then, and its variables, are gone."
        )


@dataclass(frozen=True)
class Shelved:
    """A container as the last server left it."""

    container: Container
    archive: Archive | None
    is_asleep: bool
    """By its last word it had no session, and so nothing that was lost."""


class Shelf:
    """Where archives and records are. One server has it to itself: containers are remembered as its own."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs

    async def all(self) -> list[Shelved]:
        """What the last server left."""
        return [_shelved(known) for known in await self._store.all_containers()]

    async def archive_keys(self) -> set[str]:
        """The blobs that are ours."""
        return {known.archive for known in await self._store.all_containers() if known.archive is not None}

    async def remember(self, container: Container, archive: Archive | None, *, is_asleep: bool) -> None:
        """Have the next server know it."""
        await self._store.save_container(
            KnownContainer(
                id=container.id,
                tenant=container.tenant,
                limits=json.dumps(asdict(container.limits)),
                created_at=container.created_at,
                last_used_at=container.last_used_at,
                expires_at=container.expires_at,
                state="asleep" if is_asleep else "awake",
                archive=archive.key if archive else None,
                archived_at=archive.made_at if archive else None,
                given=json.dumps(archive.given if archive else {}),
                runtime=container.runtime,
            )
        )

    async def put_away(self, keeper: link.Keeper, container: Container, before: Archive | None) -> Archive:
        """Keep the files of its session, in place of the archive `before`. Raises NotKept where that cannot be."""
        archive = Archive(new_id("archive"), now_microseconds(), dict(container.given))
        try:
            await self._blobs.put(archive.key, keeper.pack(container.id), is_last_copy=True)
            with anyio.CancelScope(shield=True):  # the record first: it may name no archive that is gone
                await self.remember(container, archive, is_asleep=True)
                if before is not None:
                    await self._blobs.remove(before.key)
        except StoreFailed as error:
            await self._blobs.remove(archive.key)
            raise NotKept(f"its files could not be put away: {error}") from error
        return archive

    async def bring_back(self, keeper: link.Keeper, container: Container, archive: Archive) -> None:
        """Open a session for it that has its files. Raises FileNotFoundError where they are gone, NotKept.

        The archive stays: it is what is left should the session come to harm.
        """
        pieces = await self._blobs.open(archive.key)
        await keeper.open(container.id, container.limits, runtime=link_name(container.runtime))
        await keeper.unpack(container.id, pieces)
        await self.remember(container, archive, is_asleep=False)

    async def touch(self, containers: Iterable[Container]) -> None:
        """Have the next server know until when they live."""
        await self._store.touch_containers([(c.id, c.last_used_at, c.expires_at) for c in containers])

    async def remove(self, container_id: str, archive_key: str | None) -> None:
        """Delete what there is of a container."""
        # The archive first: on a full disk no record can be removed before there is room again.
        if archive_key is not None:
            await self._blobs.remove(archive_key)
        await self._store.remove_container(container_id)

    async def sweep(self, living: Iterable[str]) -> None:
        """Delete what has expired, but for `living`, of whose use the store may not have heard yet."""
        for known in await self._store.expired_containers(now_microseconds()):
            if known.id not in living:
                await self.remove(known.id, known.archive)


def _shelved(known: KnownContainer) -> Shelved:
    given = json.loads(known.given)
    archive = None
    if known.archive is not None:
        archive = Archive(known.archive, known.archived_at or known.last_used_at, given)
    container = Container(
        known.id,
        known.tenant,
        Limits(**json.loads(known.limits)),
        known.created_at,
        known.last_used_at,
        known.expires_at,
        known.runtime,
        given=dict(given),
    )
    return Shelved(container, archive, known.state == "asleep")
