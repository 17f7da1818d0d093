"""Sessions made ahead: boxed, forked, locked in and checked, they wait outside of any request; each serves one.

How many wait in each tier follows what was asked for of late. They are made one after the other; what is asked for
while none is there is made on demand, as it would be without any of this.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from belljar.keeper import outside
from belljar.keeper.journal import log
from belljar.keeper.waiting import Flag
from belljar.keeper.zygotes import Zygotes

if TYPE_CHECKING:
    from belljar.keeper.sessions import Session

AGAIN_SECONDS = 5
"""After a session could not be made."""
PATIENCE_SECONDS = 0.1
"""How long parking waits for runs that are under way."""
LOOK_SECONDS = 10
"""Between looks at whether fewer would do."""
MEMORY_SECONDS = 60
"""How long what was asked for counts."""
BURST_SECONDS = 0.25
"""What comes within so short a time finds nothing that was made meanwhile."""
_RUN = ("a run",)
_ALL = ("a run", "libraries")
_MOMENT_SECONDS = 0.1
_SPARE_SHARE = 0.1
"""Of the machine's memory, which parked sessions leave alone."""


@dataclass
class Parked:
    """A session that waits."""

    session: Session
    laps: dict[str, float]
    is_rehearsed: bool


Make = Callable[[int, Sequence[str]], Awaitable[tuple["Session", dict[str, float]]]]
"""Make a session of a tier that has rehearsed these; its laps in seconds."""


class Lot:
    """The parked sessions of every tier."""

    def __init__(
        self,
        zygotes: Zygotes,
        most: int,
        make: Make,
        end: Callable[[Session], object],
        is_idle: Callable[[], bool],
    ) -> None:
        self._zygotes = zygotes
        self._most = most
        self._make = make
        self._end = end
        self._is_idle = is_idle
        self._waiting: list[list[Parked]] = [[] for _ in zygotes.tiers]
        self._bursts = [Bursts() for _ in zygotes.tiers]
        self._wake = Flag()
        self._is_short, self._looked_at = False, -1.0

    def __len__(self) -> int:
        return sum(self.counts())

    def counts(self) -> list[int]:
        """How many wait in each tier."""
        return [len(waiting) for waiting in self._waiting]

    def wake(self) -> None:
        """Something has changed: look again at how many there have to be."""
        self._wake.set()

    def take(self, tier: int) -> Parked | None:
        """One that waits in that tier, rehearsed where there is such a one; None where nobody waits."""
        self._bursts[tier].add(time.monotonic())
        waiting = self._waiting[tier]
        self.wake()
        if not waiting:
            return None
        best = next((n for n, parked in enumerate(waiting) if parked.is_rehearsed), 0)
        return waiting.pop(best)

    async def run(self) -> None:
        """Keep as many ready as there have to be, for as long as the keeper lives."""
        while True:
            try:
                await self._keep()
            except Exception as error:  # noqa: BLE001 - without parked sessions requests make their own
                log("parking", error)
                await anyio.sleep(AGAIN_SECONDS)

    async def _keep(self) -> None:
        while True:
            self._wake = Flag()
            await self._let_pass()
            self._let_go()
            while (tier := self._next()) is not None:
                if not await self._park(tier):
                    await anyio.sleep(AGAIN_SECONDS)
                await self._let_pass()
                self._let_go()
            await self._wake.within(LOOK_SECONDS)

    async def _let_pass(self) -> None:
        """What runs now comes first; but not for ever."""
        if not self._is_idle() and await self._wake.within(PATIENCE_SECONDS):
            self._wake = Flag()

    async def _park(self, tier: int) -> bool:
        try:
            # In the highest tier no libraries: sessions that live on come from there, and are to take little memory.
            is_highest = 0 < tier == len(self._waiting) - 1
            rehearsal = (_RUN if is_highest else _ALL) if self._is_idle() else ()
            session, laps = await self._make(tier, rehearsal)
        except Exception as error:  # noqa: BLE001 - without parked sessions requests make their own
            log("no session could be parked", error)
            return False
        self._waiting[tier].append(Parked(session, laps, bool(rehearsal)))
        return True

    def _let_go(self) -> None:
        """End those that are more than are needed, and those of zygotes that were replaced."""
        for tier, waiting in enumerate(self._waiting):
            gone = [parked for parked in waiting if not self._zygotes.is_current(parked.session.zygote)]
            kept = [parked for parked in waiting if parked not in gone]
            most = self._wanted(tier)
            self._waiting[tier] = kept[:most]
            for parked in (*gone, *kept[most:]):
                self._end(parked.session)

    def _next(self) -> int | None:
        """The tier that lacks most; None where all have enough."""
        if len(self) >= self._most:
            return None
        lacking = {
            tier: len(waiting) / wanted
            for tier, waiting in enumerate(self._waiting)
            if len(waiting) < (wanted := self._wanted(tier))
        }
        if not lacking or self._lacks_memory():
            return None
        return min(lacking, key=lacking.__getitem__)

    def _lacks_memory(self) -> bool:
        """Whether the machine has little left; as it was a moment ago, for this is asked before each that is made."""
        now = time.monotonic()
        if now - self._looked_at > _MOMENT_SECONDS:
            self._is_short, self._looked_at = outside.available_share() < _SPARE_SHARE, now
        return self._is_short

    def _wanted(self, tier: int) -> int:
        """How many to have ready: as many as came at once, and one."""
        if tier > self._zygotes.top():
            return 0
        return min(self._most, self._bursts[tier].most(time.monotonic()) + 1)


class Bursts:
    """What was asked for of late: how much came at once, which is to say within BURST_SECONDS."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        """When something came, within BURST_SECONDS before the last."""
        self._largest: deque[tuple[float, int]] = deque()
        """Bursts by the time of their end, each larger than all that came after it."""

    def add(self, now: float) -> None:
        """Something more was asked for."""
        self._recent.append(now)
        while self._recent[0] < now - BURST_SECONDS:
            self._recent.popleft()
        while self._largest and self._largest[-1][1] <= len(self._recent):
            self._largest.pop()
        self._largest.append((now, len(self._recent)))

    def most(self, now: float) -> int:
        """The most that came at once within MEMORY_SECONDS before now."""
        while self._largest and self._largest[0][0] < now - MEMORY_SECONDS:
            self._largest.popleft()
        return self._largest[0][1] if self._largest else 0
