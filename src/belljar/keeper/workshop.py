"""Where the sessions of one runtime are made: its site, its zygotes, and the sessions that wait parked."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from belljar.errors import JailUnavailable
from belljar.keeper import layers
from belljar.keeper.boxes import NoNamespaces, Site, bare, outer
from belljar.keeper.cgroups import Tree
from belljar.keeper.inside import Runtime
from belljar.keeper.journal import log
from belljar.keeper.making import Maker
from belljar.keeper.parking import Lot
from belljar.keeper.sessions import Session
from belljar.keeper.waiting import Flag
from belljar.keeper.zygotes import Zygote, Zygotes, needs_of, tier_of
from belljar.records import Limits


@dataclass(frozen=True)
class Shared:
    """What all workshops of a keeper have in common."""

    config: Mapping[str, Any]
    maker: Maker
    tree: Tree | None
    tasks: TaskGroup
    """The readers of guests live in it, and longer than a workshop."""
    parked_limits: Limits
    is_idle: Callable[[], bool]
    """Whether nothing runs in the whole keeper."""
    on_change: Callable[[], None]
    """A tier has come up, or failed."""
    ahead: Flag
    """Set when further tiers, and parked sessions, are wanted."""


class Workshop:
    """Of one runtime. `start` brings up its first tier, `run` is what it does as long as it lives, then `close`."""

    def __init__(
        self, shared: Shared, runtime: Runtime, site: Site, preload: Mapping[str, Sequence[str]]
    ) -> None:
        self.site = site
        self._shared = shared
        self._runtime = runtime
        self._preload = preload
        self._ends: TaskGroup | None = None
        self._needs = needs_of(preload, {}, {})
        """The tier that has ready what code with an import wants."""
        self.zygotes = Zygotes(
            site,
            preload,
            shared.tasks,
            shared.ahead,
            most_sessions=shared.config["zygote_sessions"],
            most_seconds=shared.config["zygote_seconds"],
            on_exit=self.guest_exited,
            on_loss=self._zygote_lost,
            on_change=self._tiers_changed,
        )
        self.lot = Lot(self.zygotes, shared.config["parked"], self._park, self._end, shared.is_idle)

    async def start(self) -> dict[str, float]:
        """Returns the laps of the first tier, in seconds. Raises JailUnavailable."""
        return self.site.laps | await self.zygotes.start()

    async def run(self) -> None:
        """Until cancelled: keep tiers and parked sessions as they have to be."""
        async with anyio.create_task_group() as self._ends:
            self._ends.start_soon(self.zygotes.run)
            await self._shared.ahead.wait()
            self._ends.start_soon(self.lot.run)
            self._ends.start_soon(self._learn)

    async def close(self) -> None:
        """End every session of the runtime, and what they are forked from."""
        await self._shared.maker.end_all(self.site)
        self.zygotes.close()

    async def make(self, limits: Limits, imports: Sequence[str] | None) -> tuple[Session, dict[str, float]]:
        """A session, one that has waited where there is one; its laps in seconds. Raises SessionLost, OSError."""
        top = self.zygotes.top()
        # Where it is not known what will run, anything may.
        tier = top if imports is None else min(top, tier_of(imports, self._needs))
        parked = self.lot.take(tier) if limits is self._shared.parked_limits else None
        if parked is not None:
            # It has waited outside of any request, locked in and checked; it serves this session and no other.
            session, laps = parked.session, {f"parked.{lap}": seconds for lap, seconds in parked.laps.items()}
        else:
            session, laps = await self._shared.maker.make(self.site, self.zygotes, limits, tier)
        session.is_given = True
        return session, laps

    def count_in_use(self) -> int:
        """Sessions that are somebody's."""
        return sum(session.is_given for session in self._shared.maker.living_at(self.site))

    async def _park(self, tier: int, rehearsal: Sequence[str]) -> tuple[Session, dict[str, float]]:
        shared = self._shared
        return await shared.maker.make(
            self.site, self.zygotes, shared.parked_limits, tier, rehearsal=rehearsal
        )

    def _end(self, session: Session) -> None:
        assert self._ends is not None  # it is the lot that asks, which runs in it
        self._ends.start_soon(self._shared.maker.end, session)

    def guest_exited(self, packet: dict[str, Any]) -> None:
        """Numbers of guests are of their site: those of another one's may be the same."""
        for session in self._shared.maker.living_at(self.site):
            session.guest_exited(packet["pid"], packet["status"], packet["cpu_seconds"])

    def _zygote_lost(self, zygote: Zygote) -> None:
        for session in self._shared.maker.living_at(self.site):
            session.zygote_lost(zygote)

    def _tiers_changed(self) -> None:
        self._shared.on_change()
        self.lot.wake()

    async def _learn(self) -> None:
        """Find out what builds on what is imported ahead."""
        if len(self._preload) > 1:
            try:
                owners, requires = await anyio.to_thread.run_sync(self._runtime.ask_for_packages)
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                log("what the runtime's packages build on", error)  # the tiers' own names still choose
                return
            self._needs = needs_of(self._preload, owners, requires)


@asynccontextmanager
async def opened(
    shared: Shared, runtime: Runtime, preload: Mapping[str, Sequence[str]]
) -> AsyncIterator[tuple[Workshop, str]]:
    """A workshop that has not been started, on the best site that this machine gives, found by trying; and why that has
    no namespaces where it has none. Raises JailUnavailable."""
    config = shared.config
    arguments = (runtime, config["uid_base"], shared.tasks, shared.tree)
    made: list[Workshop] = []

    def exited(packet: dict[str, Any]) -> None:
        made[0].guest_exited(packet)

    async with AsyncExitStack() as stack:
        site: Site
        reason = ""
        try:
            site = await stack.enter_async_context(outer.start(*arguments))
        except NoNamespaces as error:
            reason = str(error)
            if config["require"] != "reduced":
                raise JailUnavailable(
                    f"this machine gives no boxes of namespaces ({reason}). Allow them: {layers.ALLOW_NAMESPACES}. "
                    "Or accept a weaker jail without them, for one tenant: BELLJAR_REQUIRE=reduced"
                ) from error
            site = await stack.enter_async_context(bare.start(*arguments, exited))
        made.append(Workshop(shared, runtime, site, preload))
        yield made[0], reason
