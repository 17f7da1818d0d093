"""All sessions on this machine, behind one keeper that we start and, when it dies, start again."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import anyio
import structlog

from belljar import errors, link, results
from belljar.gateway.files import now_microseconds
from belljar.gateway.placement import Container, Load
from belljar.gateway.placement.queue import FairQueue
from belljar.gateway.telemetry import Telemetry
from belljar.settings import Settings
from belljar.wire.execution import Limits
from belljar.wire.ids import new_id

log = structlog.get_logger("belljar.gateway")

KeeperStart = Callable[[Settings], AbstractAsyncContextManager[link.Keeper]]

_REMEMBERED = 1000
"""Containers that are gone, and of which we can still say why."""
_EXPIRED = "it was not used for too long and expired"
_HELD_BYTES = 1024 * 1024
"""Of files that travel with a run, and not by themselves."""
_MOST_NAMES = 4096
"""Of files in a container, that are kept in mind so that an attachment gets another one."""
_RESTARTS = 5
_RESTART_WINDOW_SECONDS = 60
_START_SECONDS = 60
_CLOSE_SECONDS = 10
_STATE_SECONDS = 2


@dataclass
class _Entry:
    container: Container
    lock: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))
    holders: int = 0
    is_open: bool = False

    @property
    def is_used(self) -> bool:
        return self.holders > 0 or self.lock.locked()


class _Session:
    """See `placement.Session`. It is opened by what is first asked of it: where that is a run, in the same message."""

    def __init__(
        self, owner: LocalPlacement, keeper: link.Keeper, entry: _Entry, imports: Sequence[str] | None
    ) -> None:
        self._owner = owner
        self._keeper = keeper
        self._entry = entry
        self._given = entry.container.given
        self._imports = imports
        self._held: dict[str, tuple[str, bytes]] = {}
        """Files that go with the first run."""
        self.container_id = entry.container.id

    async def give(self, name: str, digest: str, body: bytes | Callable[[], AsyncIterator[bytes]]) -> None:
        held = self._held.get(name)
        if (held[0] if held else self._given.get(name)) == digest:
            return
        if isinstance(body, bytes):
            await self.put(name, digest, body)
            return
        await self._open()
        with self._owner.watching(self.container_id):
            await self._keeper.put(self.container_id, name, body())
        self._given[name] = digest

    async def put(self, name: str, digest: str, body: bytes) -> None:
        held = sum(len(other) for _, other in self._held.values()) + len(body)
        self._held[name] = (digest, body)
        if self._entry.is_open or held > _HELD_BYTES:
            await self.put_held()

    async def execute(
        self,
        run: link.Run,
        on_event: Callable[[results.Event], None] | None = None,
        on_asks: Callable[[results.Asks], None] | None = None,
    ) -> results.Result:
        opening = None if self._entry.is_open else self._opening()
        held, self._held = self._held, {}
        files = {name: body for name, (_, body) in held.items()}
        with self._owner.watching(self.container_id):
            self._entry.is_open = True  # from now on it may be, and has to be closed
            result = await self._keeper.execute(
                self.container_id,
                run,
                on_event,
                on_asks=on_asks,
                opening=opening,
                files=files,
                closes=run.is_last,
            )
        self._owner.telemetry.execution(result)
        self._given.update({name: digest for name, (digest, _) in held.items()})
        if result.is_closed:
            self._entry.is_open = False
        elif result.outcome.status == "lost":
            await self._owner.discard(self.container_id, "its session was lost")
        for file in result.files:
            if len(self._given) < _MOST_NAMES:
                self._given.setdefault(file.path, "")
        return result

    async def reply(self, ask: int, status: link.ReplyStatus, text: str) -> None:
        with self._owner.watching(self.container_id):
            await self._keeper.reply(self.container_id, ask, status, text)

    async def read(self, file: results.WorkFile) -> AsyncIterator[bytes]:
        with self._owner.watching(self.container_id):
            async for piece in self._keeper.read(self.container_id, file):
                yield piece

    def _opening(self) -> link.Opening:
        return link.Opening(self._entry.container.limits, self._imports)

    async def _open(self) -> None:
        if not self._entry.is_open:
            opening = self._opening()
            # Shielded: given up half-way, it would be open there and not here. It takes milliseconds.
            with self._owner.watching(self.container_id), anyio.CancelScope(shield=True):
                self._entry.is_open = True
                await self._keeper.open(self.container_id, opening.limits, opening.imports)

    async def put_held(self) -> None:
        """Put what no run has taken along."""
        if self._held:
            await self._open()
        while self._held:
            name, (digest, body) = self._held.popitem()
            with self._owner.watching(self.container_id):
                await self._keeper.put(self.container_id, name, body)
            self._given[name] = digest


class LocalPlacement:
    """Made by `open_placement`."""

    def __init__(self, settings: Settings, keeper_start: KeeperStart, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self._settings = settings
        self._keeper_start = keeper_start
        self._entries: dict[str, _Entry] = {}
        self._gone: dict[str, tuple[str, str]] = {}
        """By id: whose it was, and why it went."""
        self._keeper: link.Keeper | None = None
        self._up = anyio.Event()
        self._queue = FairQueue(settings.max_queued, settings.queue_seconds)
        self._freed = anyio.Event()
        """A place has become free, or a container that can give way."""
        self._description: link.Description | None = None

    @property
    def description(self) -> link.Description:
        if self._description is None:
            raise errors.KeeperLost("The keeper has not started yet.")
        return self._description

    @property
    def tiers(self) -> list[link.Tier]:
        return self._keeper.tiers if self._keeper is not None else []

    @property
    def is_ready(self) -> bool:
        return self._keeper is not None and not self._keeper.is_lost

    @property
    def load(self) -> Load:
        live = sum(entry.is_open for entry in self._entries.values())
        running = sum(entry.container.state == "running" for entry in self._entries.values())
        return Load(live, running, self._settings.max_sessions, len(self._queue))

    async def state(self) -> link.State | None:
        if self._keeper is not None:
            with anyio.move_on_after(_STATE_SECONDS), contextlib.suppress(errors.KeeperLost):
                return await self._keeper.state()
        return None

    def find(self, container_id: str, tenant: str) -> Container:
        self.notice_loss()
        entry = self._entries.get(container_id)
        if entry is not None and entry.container.tenant != tenant:
            raise self._never_made(container_id)
        if entry is None and self._gone.get(container_id, (tenant, ""))[0] != tenant:
            raise self._never_made(container_id)
        return self._live_entry(container_id).container

    async def create(
        self, limits: Limits, tenant: str, most: int | None = None, *, is_for_one_run: bool = False
    ) -> Container:
        self.notice_loss()
        self._check_count(tenant, most)
        if self._queue.is_free and len(self._entries) < self._settings.max_sessions:
            self.telemetry.went_in_at_once()
            return self._added(limits, tenant, is_for_one_run)
        with self.telemetry.queued():
            async with self._queue.turn(tenant):
                self.notice_loss()
                await self._make_room()
                self._check_count(tenant, most)
                return self._added(limits, tenant, is_for_one_run)

    def _check_count(self, tenant: str, most: int | None) -> None:
        if most is None:
            return
        containers = [entry.container for entry in self._entries.values()]
        now = now_microseconds()
        count = sum(
            container.tenant == tenant and not container.is_for_one_run and container.expires_at > now
            for container in containers
        )
        if count >= most:
            raise errors.RateLimited(
                f"There are {count} containers already, and with this API key there may be no more. Name one of them "
                "as `container`, or delete one (DELETE /v1/containers/{id}); one that is not used expires."
            )

    def _added(self, limits: Limits, tenant: str, is_for_one_run: bool) -> Container:
        now = now_microseconds()
        expires_at = now + self._idle_microseconds()
        container = Container(new_id("container"), tenant, limits, now, now, expires_at, is_for_one_run)
        self._entries[container.id] = _Entry(container)
        return container

    @asynccontextmanager
    async def hold(self, container_id: str) -> AsyncIterator[Container]:
        with _Held(self, self._live_entry(container_id)) as entry:
            yield entry.container

    @asynccontextmanager
    async def use(self, container_id: str, imports: Sequence[str] | None = None) -> AsyncIterator[_Session]:
        with _Held(self, self._live_entry(container_id)) as entry:
            async with entry.lock:
                self._entry(container_id)  # it may have gone while we waited
                keeper = self._keeper or await self._running_keeper()
                self._entry(container_id)
                entry.container.state = "running"
                try:
                    session = _Session(self, keeper, entry, imports)
                    yield session
                    await session.put_held()
                finally:
                    entry.container.state = "idle"

    async def delete(self, container_id: str, why: str) -> None:
        entry = self._entry(container_id)
        self._forget(container_id, why)
        if entry.is_open and self._keeper is not None:
            with (
                anyio.CancelScope(shield=True),
                anyio.move_on_after(_CLOSE_SECONDS),
                self.watching(container_id),
            ):
                await self._keeper.close(container_id)

    async def discard(self, container_id: str, why: str) -> None:
        entry = self._entries.get(container_id)
        if entry is not None and not entry.is_open:
            self._forget(container_id, why)
            return
        with anyio.CancelScope(shield=True):
            try:
                await self.delete(container_id, why)
            except (errors.NotFound, errors.KeeperLost):
                return
            except errors.BelljarError as error:
                log.warning("a container was not closed", container=container_id, error=str(error))

    async def sweep(self) -> None:
        now = now_microseconds()
        for container_id, entry in list(self._entries.items()):
            if not entry.is_used and entry.container.expires_at <= now:
                await self.discard(container_id, _EXPIRED)

    async def supervise(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Have a keeper running; end only by being cancelled. A start that fails at first is raised."""
        starts: deque[float] = deque(maxlen=_RESTARTS)
        is_first = True
        while True:
            if len(starts) == _RESTARTS:
                await anyio.sleep(max(0, starts[0] + _RESTART_WINDOW_SECONDS - anyio.current_time()))
            starts.append(anyio.current_time())
            try:
                async with self._keeper_start(self._settings) as keeper:
                    self._keeper, self._description = keeper, keeper.description
                    self._up.set()
                    self.telemetry.keeper_started()
                    if is_first:
                        task_status.started()
                        is_first = False
                    await keeper.lost.wait()
                    self.notice_loss()
            except Exception:
                if is_first:
                    raise
                log.exception("the keeper does not start")  # it is tried again, and what else runs goes on

    def watching(self, container_id: str) -> _Watching:
        """A block in which the keeper's death, and the container's, are noticed."""
        return _Watching(self, container_id)

    def notice_loss(self) -> None:
        """Where the keeper has ended, its containers are gone; what is asked for next waits for a new one."""
        if self._keeper is None or not self._keeper.is_lost:
            return  # seen to already: a request of the last one's heard of it late
        log.error("the keeper ended", containers=len(self._entries))
        for container_id in list(self._entries):
            self._forget(container_id, "the keeper process that ran it ended")
        self._keeper, self._up = None, anyio.Event()

    def gone(self, container_id: str) -> errors.NotFound:
        """What to tell somebody who names a container that is not there."""
        if container_id not in self._gone:
            return self._never_made(container_id)
        _, why = self._gone[container_id]
        return errors.NotFound(
            f"The container {container_id} is gone: {why}. Send the request without `container`."
        )

    @staticmethod
    def _never_made(container_id: str) -> errors.NotFound:
        return errors.NotFound(
            f"There is no container {container_id}: it was never made here, or it is gone since long. "
            "Send the request without `container` to get a new one."
        )

    def is_gone(self, container_id: str) -> bool:
        return container_id not in self._entries

    def _entry(self, container_id: str) -> _Entry:
        self.notice_loss()
        entry = self._entries.get(container_id)
        if entry is None:
            raise self.gone(container_id)
        return entry

    def _live_entry(self, container_id: str) -> _Entry:
        entry = self._entry(container_id)
        if not entry.is_used and entry.container.expires_at <= now_microseconds():
            raise errors.NotFound(
                f"The container {container_id} is gone: {_EXPIRED}. Send the request without `container`."
            )
        return entry

    def _idle_microseconds(self) -> int:
        return int(self._settings.container_idle_seconds * 1_000_000)

    def begin_use(self, entry: _Entry) -> None:
        entry.holders += 1
        self._touch(entry)

    def end_use(self, entry: _Entry) -> None:
        entry.holders -= 1
        self._touch(entry)
        self._freed.set()

    def _touch(self, entry: _Entry) -> None:
        entry.container.last_used_at = now_microseconds()
        entry.container.expires_at = entry.container.last_used_at + self._idle_microseconds()

    def _forget(self, container_id: str, why: str) -> None:
        entry = self._entries.pop(container_id, None)
        self._freed.set()
        if entry is not None:
            self._gone[container_id] = (entry.container.tenant, why)
        while len(self._gone) > _REMEMBERED:
            self._gone.pop(next(iter(self._gone)))

    async def _make_room(self) -> None:
        while len(self._entries) >= self._settings.max_sessions:
            idle = [entry.container for entry in self._entries.values() if not entry.is_used]
            if not idle:
                self._freed = anyio.Event()
                await self._freed.wait()
                continue
            longest = min(idle, key=lambda container: container.last_used_at)
            await self.discard(longest.id, "it had been idle longest when a new one needed its place")

    async def _running_keeper(self) -> link.Keeper:
        with anyio.move_on_after(_START_SECONDS):
            while self._keeper is None:
                await self._up.wait()
            return self._keeper
        raise errors.KeeperLost("The keeper ended and has not come back; see the server's log.")


class _Held:
    """A block in which an entry does not expire and does not give way."""

    def __init__(self, placement: LocalPlacement, entry: _Entry) -> None:
        self._placement = placement
        self._entry = entry

    def __enter__(self) -> _Entry:
        self._placement.begin_use(self._entry)
        return self._entry

    def __exit__(self, *_: object) -> None:
        self._placement.end_use(self._entry)


class _Watching:
    def __init__(self, placement: LocalPlacement, container_id: str) -> None:
        self._placement = placement
        self._container_id = container_id

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, errors.KeeperLost):
            self._placement.notice_loss()
        elif isinstance(error, errors.SessionLost):
            self._placement._forget(self._container_id, "its session broke")
        elif isinstance(error, errors.NotFound):
            if not self._placement.is_gone(self._container_id):
                self._placement._forget(self._container_id, "its session ended")
            raise self._placement.gone(self._container_id) from error


@asynccontextmanager
async def open_placement(
    settings: Settings, keeper_start: KeeperStart, telemetry: Telemetry | None = None
) -> AsyncIterator[LocalPlacement]:
    """Start a keeper and place sessions on it; the block's end ends all of them.

    Raises JailUnavailable where this machine does not give what the jail needs.
    """
    placement = LocalPlacement(settings, keeper_start, telemetry or Telemetry())
    failure: errors.BelljarError | None = None
    async with anyio.create_task_group() as tasks:
        try:
            await tasks.start(placement.supervise)
        except errors.BelljarError as error:
            failure = error  # raised outside of the group, which would wrap it
        else:
            try:
                yield placement
            finally:
                tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
