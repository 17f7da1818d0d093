"""All sessions on this machine, behind one keeper that we start and, when it dies, start again."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import structlog

from belljar import errors, link, states
from belljar.builds import DEFAULT
from belljar.gateway.files import now_microseconds
from belljar.gateway.placement import Container, Load
from belljar.gateway.placement.holding import KEEPER_ENDED, Held, Watching
from belljar.gateway.placement.queue import FairQueue
from belljar.gateway.placement.register import EXPIRED, Register
from belljar.gateway.placement.session import Entry, LocalSession
from belljar.gateway.placement.sleeping import Shelf
from belljar.gateway.telemetry import Telemetry
from belljar.logged import words_of
from belljar.records import Limits
from belljar.settings import Settings
from belljar.wire.ids import new_id
from belljar.wire.resources import ContainerUse

log = structlog.get_logger("belljar.gateway")

KeeperStart = Callable[[Settings], AbstractAsyncContextManager[link.Keeper]]

_RESTARTS = 5
_RESTART_WINDOW_SECONDS = 60
_START_SECONDS = 60
_CLOSE_SECONDS = 10
_PUT_AWAY_SECONDS = 60
"""For all containers together, at the server's end."""
_AT_ONCE = 4
"""Of them."""
_STATE_SECONDS = 2
_LOOK_SECONDS = 10
_SILENT_SECONDS = 60
"""For a keeper to answer. It is ended when it has not twice: once may be our own sleep, with its answer unread."""


class LocalPlacement:
    """Made by `open_placement`."""

    def __init__(
        self, settings: Settings, keeper_start: KeeperStart, shelf: Shelf, telemetry: Telemetry
    ) -> None:
        self.telemetry = telemetry
        self._shelf = shelf
        self.register = Register(settings, shelf)
        self._settings = settings
        self._keeper_start = keeper_start
        self._placed: dict[str, Entry] = {}
        """Those that have a session, or the place for one."""
        self._keeper: link.Keeper | None = None
        self._up = anyio.Event()
        self._queue = FairQueue(settings.max_queued, settings.queue_seconds)
        self._freed = anyio.Event()
        """A place has become free, or a container that can give way."""
        self._description: states.Description | None = None

    @property
    def description(self) -> states.Description:
        if self._description is None:
            raise errors.KeeperLost("The keeper has not started yet.")
        return self._description

    @property
    def tiers(self) -> list[states.Tier]:
        return self._keeper.tiers if self._keeper is not None else []

    @property
    def runtimes(self) -> dict[str, states.RuntimeState]:
        return self._keeper.runtimes if self._keeper is not None else {}

    @property
    def is_ready(self) -> bool:
        return self._keeper is not None and not self._keeper.is_lost

    @property
    def load(self) -> Load:
        live = sum(entry.is_open for entry in self._placed.values())
        running = sum(entry.container.state == "running" for entry in self._placed.values())
        asleep = sum(entry.container.state == "asleep" for entry in self.register.entries())
        most, waiting = self._settings.max_sessions, len(self._queue)
        return Load(live, running, most, waiting, len(self.register), asleep)

    async def state(self) -> states.State | None:
        if self._keeper is not None:
            with anyio.move_on_after(_STATE_SECONDS), contextlib.suppress(errors.KeeperLost):
                return await self._keeper.state()
        return None

    async def measured(self, container_id: str) -> ContainerUse | None:
        entry = self.register.get(container_id)
        if entry is None or not entry.is_open or self._keeper is None:
            return None
        # It may end meanwhile, and a keeper that does not answer holds up nobody who looks.
        with anyio.move_on_after(_STATE_SECONDS), contextlib.suppress(errors.BelljarError):
            return await self._keeper.use(container_id)
        return None

    def find(self, container_id: str, tenant: str) -> Container:
        self.notice_loss()
        return self.register.of(tenant, container_id).container

    def all(self, tenant: str) -> list[Container]:
        self.notice_loss()
        return self.register.all_of(tenant)

    def named(self, container_id: str, tenant: str) -> Container | None:
        try:
            return self.find(container_id, tenant)
        except errors.NotFound:
            if self._settings.container_missing == "refuse":
                raise
            return None

    async def create(
        self,
        limits: Limits,
        tenant: str,
        most: int | None = None,
        *,
        is_kept: bool = True,
        runtime: str = DEFAULT,
    ) -> Container:
        self.register.check_count(tenant, most, is_kept=is_kept)
        now = now_microseconds()
        container = Container(new_id("container"), tenant, limits, now, now, now, runtime)
        entry = Entry(container, is_kept=is_kept)
        await self._take_place(entry)
        try:
            # Others may have been made while it waited.
            self.register.check_count(tenant, most, is_kept=is_kept)
        except errors.RateLimited:
            self._unplace(entry.container.id)
            raise
        self.register.add(entry)
        if is_kept:
            try:
                await self._shelf.remember(entry.container, None, is_asleep=False)
            except BaseException:
                self._forget(entry.container.id, "it could not be recorded")
                raise
        return entry.container

    async def _take_place(self, entry: Entry) -> None:
        """Have a place for its session, in turn with all others who want one."""
        container = entry.container
        if container.id in self._placed:
            return
        self.notice_loss()
        if self._queue.is_free and len(self._placed) < self._settings.max_sessions:
            self.telemetry.went_in_at_once()
            self._placed[container.id] = entry
            return
        with self.telemetry.queued():
            async with self._queue.turn(container.tenant):
                self.notice_loss()
                await self._make_room()
                self._placed[container.id] = entry

    @asynccontextmanager
    async def hold(self, container_id: str) -> AsyncIterator[Container]:
        with Held(self, self._live(container_id)) as entry:
            yield entry.container

    @asynccontextmanager
    async def use(
        self, container_id: str, imports: Sequence[str] | None = None
    ) -> AsyncIterator[LocalSession]:
        with Held(self, self._live(container_id)) as entry:
            async with entry.lock:
                self._entry(container_id)  # it may have gone while we waited
                await self._take_place(entry)
                try:
                    keeper = self._keeper or await self._running_keeper()
                    self._entry(container_id)
                    if entry.container.state == "asleep":
                        await self._wake(entry, keeper)
                except BaseException:
                    if not entry.is_open:
                        self._unplace(container_id)
                    raise
                entry.container.state = "running"
                try:
                    session = LocalSession(self, keeper, entry, imports)
                    yield session
                    await session.put_held()
                finally:
                    if entry.container.state == "running":
                        entry.container.state = "idle"

    async def _wake(self, entry: Entry, keeper: link.Keeper) -> None:
        container, archive = entry.container, entry.archive
        assert archive is not None
        try:
            with self.watching(container.id):
                await self._shelf.bring_back(keeper, container, archive)
        except FileNotFoundError as error:
            self._forget(container.id, "the archive of its files is not there any more")
            raise self.register.gone(container.id) from error
        except BaseException:
            await self._close(container.id)
            raise
        if self.is_gone(container.id):  # deleted meanwhile, and remembered again
            await self._close(container.id)
            await self._shelf.remove(container.id, archive.key)
            raise self.register.gone(container.id)
        entry.is_open, container.state = True, "idle"
        entry.restored = archive.restored(entry.lost)
        entry.lost = ""

    async def _put_away(self, entry: Entry) -> None:
        """Have it give its place up: it falls asleep where it has a session. Raises NotKept.

        Given up half-way, it is as awake as before.
        """
        container = entry.container
        async with entry.lock:
            if container.id not in self._placed:
                return
            if entry.is_open:
                keeper = self._keeper or await self._running_keeper()
                with self.watching(container.id):
                    archive = await self._shelf.put_away(keeper, container, entry.archive)
                if self.is_gone(container.id):  # deleted meanwhile
                    await self._shelf.remove(container.id, archive.key)
                    return
                entry.archive = archive
                entry.fall_asleep("")
                await self._close(container.id)
            self._unplace(container.id)

    async def _give_way(self, entry: Entry) -> None:
        """Its place is needed for another."""
        try:
            await self._put_away(entry)
        except errors.NotKept as error:
            if entry.is_used:
                return  # by somebody who came meanwhile
            await self.give_up(
                entry.container.id,
                f"its place was needed for another, and its files could not be kept: {error}",
            )
        except (errors.SessionLost, errors.NotFound, errors.KeeperLost):
            return  # what is to be known of it has been noted
        except errors.InvalidRequest:
            return  # code has begun to run in it meanwhile

    async def put_all_away(self) -> None:
        """At the server's end: what is awake falls asleep, as far as the time goes."""
        turns = anyio.Semaphore(_AT_ONCE)

        async def put_away(entry: Entry) -> None:
            container = entry.container
            try:
                async with turns:
                    if entry.is_open:
                        await self._put_away(entry)
                    else:  # nothing has been in it yet, and it is as good as asleep
                        await self._shelf.remember(container, entry.archive, is_asleep=True)
            except errors.BelljarError as error:
                log.warning("a container was not put away", container=container.id, error=words_of(error))
            except Exception:  # the others are put away all the same
                log.exception("a container was not put away", container=container.id)

        with anyio.move_on_after(_PUT_AWAY_SECONDS, shield=True) as scope:
            async with anyio.create_task_group() as tasks:
                for entry in self.register.entries():
                    if entry.is_kept and entry.container.state != "asleep":
                        tasks.start_soon(put_away, entry)
            try:
                await self.register.tell_shelf()
            except errors.StoreFailed as error:
                log.warning("until when containers live was not written", error=words_of(error))
        if scope.cancelled_caught:
            log.warning("not every container was put away in time", seconds=_PUT_AWAY_SECONDS)

    async def delete(self, container_id: str, why: str) -> None:
        entry = self._entry(container_id)
        self._forget(container_id, why)
        if entry.is_open:
            await self._close(container_id)
        await self.register.tell_shelf()

    async def _close(self, container_id: str) -> None:
        """End its session, if it has one."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
            if self._keeper is not None:
                with contextlib.suppress(errors.KeeperLost):
                    await self._keeper.close(container_id)

    async def give_up(self, container_id: str, why: str) -> None:
        """End a session that is of no use any more, and with it the container, unless there is an archive of it."""
        await self._close(container_id)
        self.lose(container_id, why)

    async def discard(self, container_id: str, why: str) -> None:
        entry = self.register.get(container_id)
        if entry is not None and not entry.is_open and not entry.is_kept:
            self._forget(container_id, why)
            return
        with anyio.CancelScope(shield=True):
            try:
                await self.delete(container_id, why)
            except (errors.NotFound, errors.KeeperLost):
                return
            except errors.BelljarError as error:
                log.warning("a container was not closed", container=container_id, error=words_of(error))

    async def sweep(self) -> None:
        now = now_microseconds()
        tired = now - int(self._settings.container_sleep_seconds * 1_000_000)
        for entry in self.register.entries():
            container_id = entry.container.id
            if entry.is_used:
                continue
            if entry.container.expires_at <= now:
                await self.discard(container_id, EXPIRED)
            elif entry.is_kept and entry.container.last_used_at <= tired and not entry.is_restless:
                try:
                    await self._put_away(entry)
                except errors.BelljarError as error:
                    # Nobody needs its place: it stays awake.
                    entry.is_restless = True
                    log.warning("a container was not put away", container=container_id, error=words_of(error))
        await self.register.sweep_shelf()

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
                    async with anyio.create_task_group() as looking:
                        looking.start_soon(_end_if_silent, keeper)
                        await keeper.lost.wait()
                        looking.cancel_scope.cancel()
                    self.notice_loss()
            except Exception:
                if is_first:
                    raise
                log.exception("the keeper does not start")  # it is tried again, and what else runs goes on

    def watching(self, container_id: str) -> Watching:
        """A block in which the keeper's death, and the container's, are noticed."""
        return Watching(self, container_id)

    def notice_loss(self) -> None:
        """Where the keeper has ended, its sessions are gone; what is asked for next waits for a new one."""
        if self._keeper is None or not self._keeper.is_lost:
            return  # seen to already: a request of the last one's heard of it late
        log.error("the keeper ended", containers=len(self._placed))
        for container_id, entry in list(self._placed.items()):
            if entry.is_open:
                self.lose(container_id, KEEPER_ENDED)
        self._keeper, self._up = None, anyio.Event()

    def is_gone(self, container_id: str) -> bool:
        return self.register.get(container_id) is None

    def is_open(self, container_id: str) -> bool:
        entry = self.register.get(container_id)
        return entry is not None and entry.is_open

    def is_asleep(self, container_id: str) -> bool:
        entry = self.register.get(container_id)
        return entry is not None and entry.container.state == "asleep"

    def lose(self, container_id: str, why: str) -> None:
        """Its session is gone: the container falls back to its archive, and without one it is gone too."""
        entry = self.register.get(container_id)
        if entry is None:
            return
        if entry.archive is None:
            self._forget(container_id, why)
            return
        if entry.container.state != "asleep":  # else it was on its way back, and nothing of it is lost
            entry.fall_asleep(why)
        self._unplace(container_id)

    def _entry(self, container_id: str) -> Entry:
        self.notice_loss()
        return self.register.entry(container_id)

    def _live(self, container_id: str) -> Entry:
        self.notice_loss()
        return self.register.live(container_id)

    def begin_use(self, entry: Entry) -> None:
        entry.holders += 1
        self.register.touch(entry)

    def end_use(self, entry: Entry) -> None:
        entry.holders -= 1
        self.register.touch(entry)
        self._freed.set()

    def _unplace(self, container_id: str) -> None:
        self._placed.pop(container_id, None)
        self._freed.set()

    def _forget(self, container_id: str, why: str) -> None:
        self.register.forget(container_id, why)
        self._unplace(container_id)

    async def _make_room(self) -> None:
        while len(self._placed) >= self._settings.max_sessions:
            idle = [entry for entry in self._placed.values() if not entry.is_used]
            if not idle:
                self._freed = anyio.Event()
                await self._freed.wait()
                continue
            await self._give_way(min(idle, key=lambda entry: entry.container.last_used_at))

    async def _running_keeper(self) -> link.Keeper:
        with anyio.move_on_after(_START_SECONDS):
            while self._keeper is None:
                await self._up.wait()
            return self._keeper
        raise errors.KeeperLost("The keeper ended and has not come back; see the server's log.")


async def _end_if_silent(keeper: link.Keeper) -> None:
    """One that somebody has stopped, say, would have all its runs wait for ever."""
    silent = 0
    while silent < 2:
        await anyio.sleep(_LOOK_SECONDS)
        with anyio.move_on_after(_SILENT_SECONDS) as given:
            try:
                await keeper.state()
            except errors.KeeperLost:
                return
        silent = silent + 1 if given.cancelled_caught else 0
    log.error("the keeper does not answer and is ended", seconds=2 * _SILENT_SECONDS)
    keeper.kill()


@asynccontextmanager
async def open_placement(
    settings: Settings, keeper_start: KeeperStart, shelf: Shelf, telemetry: Telemetry | None = None
) -> AsyncIterator[LocalPlacement]:
    """Start a keeper and place sessions on it; the block's end puts containers away and ends all sessions.

    Raises JailUnavailable where this machine does not give what the jail needs.
    """
    placement = LocalPlacement(settings, keeper_start, shelf, telemetry or Telemetry())
    await placement.register.take_over()
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
                await placement.put_all_away()
                tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
