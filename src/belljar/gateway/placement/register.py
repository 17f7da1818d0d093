"""The containers that there are, whose they are, and of those that are gone, why."""

from __future__ import annotations

from belljar import errors
from belljar.gateway.files import now_microseconds
from belljar.gateway.placement import Container
from belljar.gateway.placement.session import Entry
from belljar.gateway.placement.sleeping import Shelf
from belljar.settings import Settings

_FULL_SECONDS = 60
_REMEMBERED = 1000
"""Containers that are gone, and of which we can still say why."""
EXPIRED = "it was not used for too long and expired"
_SERVER_ENDED = "the server that ran it ended without putting it away"


class Register:
    """Those of one placement. What the next server is to know of them goes to `shelf`: at once what is new, and by
    `tell_shelf` what was used or is gone."""

    def __init__(self, settings: Settings, shelf: Shelf) -> None:
        self._settings = settings
        self._shelf = shelf
        self._entries: dict[str, Entry] = {}
        self._gone: dict[str, tuple[str, str]] = {}
        """By id: whose it was, and why it went."""
        self._forgotten: dict[str, str | None] = {}
        """Containers that are still on the shelf, and their archives there."""
        self._used: set[str] = set()
        """Those of whose use the shelf does not know."""

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> list[Entry]:
        """All of them, as they are now."""
        return list(self._entries.values())

    def get(self, container_id: str) -> Entry | None:
        """None where there is no such container."""
        return self._entries.get(container_id)

    def entry(self, container_id: str) -> Entry:
        """The same; raises NotFound."""
        entry = self._entries.get(container_id)
        if entry is None:
            raise self.gone(container_id)
        return entry

    def live(self, container_id: str) -> Entry:
        """One that has not expired. Raises NotFound."""
        entry = self.entry(container_id)
        if not entry.is_used and entry.container.expires_at <= now_microseconds():
            raise errors.NotFound(
                f"The container {container_id} is gone: {EXPIRED}. Send the request without `container`."
            )
        return entry

    def of(self, tenant: str, container_id: str) -> Entry:
        """The same for a tenant, who is not told of others'."""
        entry = self._entries.get(container_id)
        if entry is not None and entry.container.tenant != tenant:
            raise _never_made(container_id)
        if entry is None and self._gone.get(container_id, (tenant, ""))[0] != tenant:
            raise _never_made(container_id)
        return self.live(container_id)

    def all_of(self, tenant: str) -> list[Container]:
        """A tenant's that outlive a run, the newest first."""
        now = now_microseconds()
        kept = (entry.container for entry in self._entries.values() if entry.is_kept)
        mine = [one for one in kept if one.tenant == tenant and one.expires_at > now]
        return sorted(mine, key=lambda container: (container.created_at, container.id), reverse=True)

    def gone(self, container_id: str) -> errors.NotFound:
        """What to tell somebody who names a container that is not there."""
        if container_id not in self._gone:
            return _never_made(container_id)
        _, why = self._gone[container_id]
        return errors.NotFound(
            f"The container {container_id} is gone: {why}. Send the request without `container`."
        )

    def check_count(self, tenant: str, most: int | None, *, is_kept: bool) -> None:
        """Raises RateLimited where the tenant has `most` containers already, or there are as many as there may be."""
        if is_kept and len(self._entries) >= self._settings.max_containers:
            raise errors.RateLimited(
                f"There are {len(self._entries)} containers already (BELLJAR_MAX_CONTAINERS). Delete some that are no "
                "longer needed, or wait until they expire.",
                retry_after=_FULL_SECONDS,
            )
        if most is None:
            return
        now = now_microseconds()
        count = sum(
            entry.is_kept and entry.container.tenant == tenant and entry.container.expires_at > now
            for entry in self._entries.values()
        )
        if count >= most:
            raise errors.RateLimited(
                f"There are {count} containers already, and with this API key there may be no more. Name one of them "
                "as `container`, or delete one (DELETE /v1/containers/{id}); one that is not used expires."
            )

    def add(self, entry: Entry) -> None:
        """A new one."""
        self._entries[entry.container.id] = entry
        self.touch(entry)

    def touch(self, entry: Entry) -> None:
        """It is used now, and so expires later."""
        idle_microseconds = int(self._settings.container_idle_seconds * 1_000_000)
        entry.container.last_used_at = now_microseconds()
        entry.container.expires_at = entry.container.last_used_at + idle_microseconds
        entry.is_restless = False
        if entry.is_kept:
            self._used.add(entry.container.id)

    def forget(self, container_id: str, why: str) -> None:
        """It is gone, for `why`. Nothing where it was so already."""
        entry = self._entries.pop(container_id, None)
        if entry is None:
            return
        if entry.is_kept:
            self._forgotten[container_id] = entry.archive.key if entry.archive else None
        self._remember_gone(entry.container, why)

    def _remember_gone(self, container: Container, why: str) -> None:
        self._gone[container.id] = (container.tenant, why)
        while len(self._gone) > _REMEMBERED:
            self._gone.pop(next(iter(self._gone)))

    async def take_over(self) -> None:
        """Know the containers that the last server left."""
        for shelved in await self._shelf.all():
            container = shelved.container
            if shelved.archive is None and not shelved.is_asleep:
                self._remember_gone(container, _SERVER_ENDED)
                continue
            entry = Entry(container, archive=shelved.archive)
            if shelved.archive is not None:
                entry.fall_asleep("" if shelved.is_asleep else _SERVER_ENDED)
            self._entries[container.id] = entry

    async def tell_shelf(self) -> None:
        """What the shelf does not know yet."""
        while self._forgotten:
            container_id, archive_key = next(iter(self._forgotten.items()))
            await self._shelf.remove(container_id, archive_key)
            # Not before: where this is cancelled or fails, the next server would know it still.
            self._forgotten.pop(container_id, None)
        used, self._used = self._used, set()
        entries = [self._entries[container_id] for container_id in used if container_id in self._entries]
        if entries:
            try:
                await self._shelf.touch([entry.container for entry in entries])
            except BaseException:
                self._used |= used
                raise

    async def sweep_shelf(self) -> None:
        """The same, and have it delete what has expired there."""
        await self.tell_shelf()
        await self._shelf.sweep(self._entries)


def _never_made(container_id: str) -> errors.NotFound:
    return errors.NotFound(
        f"There is no container {container_id}: it was never made here, or has been gone for long. "
        "Send the request without `container` to get a new one."
    )
