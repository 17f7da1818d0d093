"""A container as the gateway has it on this machine, and its session while a request has that alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from belljar import errors, link, orders, results, states
from belljar.builds import link_name
from belljar.gateway.placement import Container
from belljar.gateway.placement.sleeping import Archive

if TYPE_CHECKING:
    from belljar.gateway.placement.local import LocalPlacement

_HELD_BYTES = 1024 * 1024
"""Of files that travel with a run, and not by themselves."""
_MOST_NAMES = 4096
"""Of files in a container, that are kept in mind so that an attachment gets another one."""


class _Unreadable(Exception):
    """What was to be put into a session cannot be read."""

    def __init__(self, why: errors.BelljarError) -> None:
        super().__init__(str(why))
        self.why = why


async def _read(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces; raises _Unreadable, which nobody takes for a word of the keeper's."""
    try:
        async for piece in pieces:
            yield piece
    except errors.BelljarError as error:
        raise _Unreadable(error) from error


@dataclass
class Entry:
    container: Container
    lock: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))
    holders: int = 0
    is_open: bool = False
    is_kept: bool = True
    """It outlives its session, and the server."""
    archive: Archive | None = None
    """Its files as they were when it was last put away."""
    lost: str = ""
    """Why it is asleep without having been put away since its last use."""
    restored: str = ""
    """What is to be said of a session with which it has woken, until code has run there."""
    is_restless: bool = False
    """Its files could not be kept: not to be tried again before it is used."""

    @property
    def is_used(self) -> bool:
        return self.holders > 0 or self.lock.locked()

    def fall_asleep(self, lost: str) -> None:
        """It has no session any more; `lost` says why where its archive is older than that."""
        assert self.archive is not None
        self.is_open, self.lost, self.restored = False, lost, ""
        self.container.state = "asleep"
        self.container.given.clear()
        self.container.given.update(self.archive.given)


class LocalSession:
    """See `placement.Session`. It is opened by what is first asked of it: where that is a run, in the same message."""

    def __init__(
        self, owner: LocalPlacement, keeper: link.Keeper, entry: Entry, imports: Sequence[str] | None
    ) -> None:
        self._owner = owner
        self._keeper = keeper
        self._entry = entry
        self._given = entry.container.given
        self._imports = imports
        self._held: dict[str, tuple[str, bytes]] = {}
        """Files that go with the first run."""
        self.container_id = entry.container.id
        self.restored = entry.restored
        self.was_put_away = bool(entry.restored)

    async def give(self, name: str, digest: str, body: bytes | Callable[[], AsyncIterator[bytes]]) -> None:
        held = self._held.get(name)
        if (held[0] if held else self._given.get(name)) != digest:
            await self.put(name, digest, body)

    async def put(self, name: str, digest: str, body: bytes | Callable[[], AsyncIterator[bytes]]) -> None:
        self._check()
        if not isinstance(body, bytes):
            await self._put_pieces(name, digest, body())
            return
        held = sum(len(other) for _, other in self._held.values()) + len(body)
        self._held[name] = (digest, body)
        if self._entry.is_open or held > _HELD_BYTES:
            await self.put_held()

    async def _put_pieces(self, name: str, digest: str, pieces: AsyncIterator[bytes]) -> None:
        await self._open()
        try:
            with self._owner.watching(self.container_id):
                await self._keeper.put(self.container_id, name, _read(pieces))
        except _Unreadable as error:
            raise error.why from error.why.__cause__  # it is not the session that is gone
        self._given[name] = digest

    async def execute(
        self,
        run: orders.Run,
        on_event: Callable[[results.Event], None] | None = None,
        on_asks: Callable[[results.Asks], None] | None = None,
    ) -> results.Result:
        self._check()
        opening = None if self._entry.is_open else self._opening()
        held, self._held = self._held, {}
        files = {name: body for name, (_, body) in held.items()}
        with self._owner.watching(self.container_id):
            self._entry.is_open = True  # from now on it may be, and has to be closed
            try:
                result = await self._keeper.execute(
                    self.container_id,
                    run,
                    on_event,
                    on_asks=on_asks,
                    opening=opening,
                    files=files,
                    closes=run.is_last,
                )
            except errors.RequestTooLarge:  # nothing was sent
                self._entry.is_open, self._held = opening is None, held
                raise
        self._entry.restored = ""
        if run.drawing is None or result.outcome.status not in {"completed", "raised"}:
            self._entry.container.last_word = result.outcome.message
        self._owner.telemetry.execution(result)
        self._given.update({name: digest for name, (digest, _) in held.items()})
        if result.is_closed:
            self._entry.is_open = False
        elif result.outcome.status == "lost":
            await self._owner.give_up(self.container_id, "its session was lost")
        for file in result.files:
            if len(self._given) < _MOST_NAMES:
                self._given.setdefault(file.path, "")
        return result

    async def reply(self, ask: int, status: orders.ReplyStatus, text: str) -> None:
        with self._owner.watching(self.container_id):
            await self._keeper.reply(self.container_id, ask, status, text)

    async def interrupt(self) -> None:
        with self._owner.watching(self.container_id):
            await self._keeper.interrupt(self.container_id)

    async def read(self, file: results.WorkFile | results.Lying, offset: int = 0) -> AsyncIterator[bytes]:
        with self._owner.watching(self.container_id):
            async for piece in self._keeper.read(self.container_id, file, offset):
                yield piece

    async def files(self) -> states.Files:
        await self.put_held()
        await self._open()
        with self._owner.watching(self.container_id):
            return await self._keeper.files(self.container_id)

    async def find(self, path: str) -> results.Lying:
        await self.put_held()
        await self._open()
        with self._owner.watching(self.container_id):
            return await self._keeper.find(self.container_id, path)

    async def remove(self, path: str) -> None:
        await self.put_held()
        await self._open()
        with self._owner.watching(self.container_id):
            await self._keeper.remove(self.container_id, path)
        self._given.pop(path, None)

    def _check(self) -> None:
        """A session that was lost is not made again without the files: the next use brings them back."""
        if self._entry.container.state == "asleep":
            raise errors.SessionLost(f"The session of {self.container_id} has ended: {self._entry.lost}.")

    def _opening(self) -> orders.Opening:
        container = self._entry.container
        return orders.Opening(container.limits, self._imports, link_name(container.runtime))

    async def _open(self) -> None:
        if not self._entry.is_open:
            opening = self._opening()
            # Shielded: given up half-way, it would be open there and not here. It takes milliseconds.
            with self._owner.watching(self.container_id), anyio.CancelScope(shield=True):
                self._entry.is_open = True
                await self._keeper.open(self.container_id, opening.limits, opening.imports, opening.runtime)

    async def put_held(self) -> None:
        """Put what no run has taken along."""
        if self._held:
            await self._open()
        while self._held:
            name, (digest, body) = self._held.popitem()
            with self._owner.watching(self.container_id):
                await self._keeper.put(self.container_id, name, body)
            self._given[name] = digest
