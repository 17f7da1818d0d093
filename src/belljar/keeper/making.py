"""Makes sessions and ends them: each has a uid, a cgroup and a box of its own, in the site of its runtime."""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import Sequence

import anyio
from anyio.abc import TaskGroup

from belljar.errors import SessionLost
from belljar.keeper import watch
from belljar.keeper.boxes import UID_COUNT, Box, Site
from belljar.keeper.cgroups import Cgroup, Tree
from belljar.keeper.journal import log
from belljar.keeper.sessions import Session
from belljar.keeper.waiting import Hand, Job
from belljar.keeper.zygotes import Zygotes
from belljar.records import Limits


class Maker:
    """Of all sessions of a keeper; what they have looked at runs in `tasks`."""

    def __init__(self, tree: Tree | None, grace_seconds: float, tasks: TaskGroup) -> None:
        self._tree = tree
        self._grace_seconds = grace_seconds
        self._tasks = tasks
        self.living: set[Session] = set()
        """Every session that is not gone yet, named or not."""
        self._hand = Hand("cgroups")
        """One for all: the kernel lets only one at a time change them."""
        self._dear = watch.Dear()
        self._names = itertools.count(1)
        """Of cgroups."""
        self._used_indexes: set[int] = set()
        self._next_index = 0

    async def make(
        self, site: Site, zygotes: Zygotes, limits: Limits, tier: int, *, rehearsal: Sequence[str] = ()
    ) -> tuple[Session, dict[str, float]]:
        """A session whose guest is locked in and waits for code; its laps in seconds. Raises SessionLost, OSError."""
        index = self._take_index()
        making: Job[Cgroup] | None = None
        if self._tree is not None:
            # Whoever changes cgroups waits for all others who do: not by ourselves while the hand does.
            making = self._hand.begin_short(
                functools.partial(self._tree.make, f"{next(self._names):x}", limits)
            )
        box = None
        try:
            box = await site.make_box(index, limits.disk_bytes)
            boxed = time.perf_counter()
            cgroup = await making.outcome() if making is not None else None
            laps = {"cgroup": time.perf_counter() - boxed}
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._unmake(index, box, making)
            raise
        session = Session(
            site,
            zygotes,
            tier,
            box,
            index,
            limits,
            cgroup,
            self._grace_seconds,
            self._hand,
            self._dear,
            self._tasks,
        )
        self.living.add(session)
        try:
            laps |= await session.live(rehearsal=rehearsal)
        except BaseException:
            await self.end(session)
            raise
        return session, laps

    async def end(self, session: Session) -> None:
        """End a session; its uid is another's when the kernel has let go of it."""
        try:
            with anyio.CancelScope(shield=True):
                is_gone = await session.close()
        except Exception as error:  # noqa: BLE001 - nobody waits for this, and the other sessions go on
            is_gone = False
            log("a session's end", error)
        self.living.discard(session)
        if is_gone:
            self._used_indexes.discard(session.index)  # else its uid is not to be given to another

    def living_at(self, site: Site) -> list[Session]:
        """Those of one runtime."""
        return [session for session in self.living if session.site is site]

    async def end_all(self, site: Site) -> None:
        """Kill every session of a site at once, and wait for their ends."""
        sessions = self.living_at(site)
        for session in sessions:
            session.kill()
        async with anyio.create_task_group() as deaths:
            for session in sessions:
                deaths.start_soon(self.end, session)

    async def _unmake(self, index: int, box: Box | None, making: Job[Cgroup] | None) -> None:
        """Let go of the parts of what does not become a session."""
        if box is not None:
            await box.close()
        if making is not None:
            with contextlib.suppress(OSError):  # it could not be made
                await self._hand.do((await making.outcome()).remove)
        self._used_indexes.discard(index)

    def _take_index(self) -> int:
        """A number that no live session has: its guest's uid, where each has one of its own."""
        for _ in range(UID_COUNT):
            self._next_index = self._next_index % (UID_COUNT - 1) + 1
            if self._next_index not in self._used_indexes:
                self._used_indexes.add(self._next_index)
                return self._next_index
        raise SessionLost("every guest uid is taken")
