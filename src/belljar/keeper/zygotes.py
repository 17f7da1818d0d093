"""The fork servers, in tiers: each has imported what the one before it has, and more.

A *generation* is one chain of them, the first exec'd and every other forked from the one before, so that they share
memory. After a number of sessions, at an age, or when one of them dies, a generation is replaced: its successor is
ready before it goes, and it goes when its last guest is gone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import TaskGroup

from belljar import packets
from belljar.errors import BelljarError, JailUnavailable, KeeperLost, SessionLost
from belljar.keeper.boxes import OnExit, Site, Started
from belljar.keeper.channel import ANSWER_SECONDS, PacketChannel, Reply, zygote_ready
from belljar.keeper.journal import log
from belljar.keeper.waiting import Flag

AGAIN_SECONDS = 5
"""Between tries to start a generation that does not come up."""

MOST_OLD = 3
"""Generations that wait for their last guest, before no further one is begun for the number of its sessions."""

OnLoss = Callable[["Zygote"], None]
"""Told of a zygote that has died, and its guests with it."""


class Zygote:
    """One fork server, as the keeper holds it."""

    def __init__(self, channel: PacketChannel, ready: Mapping[str, Any]) -> None:
        self.data_bytes: int = ready["data_bytes"]
        """Private memory that every guest has from birth."""
        self.failed: dict[str, str] = ready["failed"]
        self.cold: dict[str, str] = ready["cold"]
        self.laps: dict[str, float] = ready["laps"]
        self.channel = channel
        self.living: set[int] = set()
        """Its children that it has not reaped, by pid."""
        self.forks = 0

    @property
    def is_lost(self) -> bool:
        return self.channel.is_gone

    async def fork(self, packet: dict[str, Any], fds: Sequence[int]) -> Reply:
        """Have it fork a guest. Raises SessionLost."""
        self.forks += 1
        try:
            reply = await self.channel.ask({"op": "fork", **packet}, fds)
        except KeeperLost as error:
            raise SessionLost(str(error)) from error
        self.living.add(reply.packet["pid"])
        return reply


@dataclass
class Tier:
    """What a tier is now."""

    name: str
    state: str
    """`warming`, `ready` or `failed`."""
    why: str = ""
    """Why it is not there, or what of it is missing."""


class _Generation:
    def __init__(self, started: Started) -> None:
        self.started = started
        self.zygotes: list[Zygote] = []
        self.born_at = time.monotonic()
        self.worn = Flag()
        """It is time for a successor."""
        self.idle = Flag()
        """Set at the end of each of its guests."""

    @property
    def forks(self) -> int:
        return sum(zygote.forks for zygote in self.zygotes)

    def renew(self) -> None:
        """Count its age and its forks from now on."""
        self.born_at, self.worn = time.monotonic(), Flag()
        for zygote in self.zygotes:
            zygote.forks = 0

    @property
    def is_lost(self) -> bool:
        return any(zygote.is_lost for zygote in self.zygotes)


class Zygotes:
    """Every tier of this keeper. `start` brings up the first, `run` the others, and successors later."""

    def __init__(
        self,
        site: Site,
        tiers: Mapping[str, Sequence[str]],
        tasks: TaskGroup,
        ahead: Flag,
        *,
        most_sessions: int,
        most_seconds: float,
        on_exit: OnExit,
        on_loss: OnLoss,
        on_change: Callable[[], None],
    ) -> None:
        self._site = site
        self._preloads = list(tiers.values()) or [[]]
        self._tasks = tasks
        self._ahead = ahead
        self._most_sessions = most_sessions
        self._most_seconds = most_seconds
        self._on_exit = on_exit
        self._on_loss = on_loss
        self._on_change = on_change
        self._current: _Generation
        self._old: list[_Generation] = []
        self._switched = Flag()
        self.begun = 0
        """Generations that came up so far."""
        self.tiers = [Tier(name, "warming") for name in tiers] or [Tier("bare", "warming")]

    async def start(self) -> dict[str, float]:
        """Bring up the first tier, and return its laps. Raises JailUnavailable when it does not come up."""
        try:
            self._current = await self._begin()
        except SessionLost as error:
            raise JailUnavailable(f"the zygote did not come up: {error}") from error
        self._note(0, self._current.zygotes[0])
        return self._current.zygotes[0].laps

    async def pick(self, tier: int) -> Zygote:
        """The zygote for that tier, or the nearest below that is ready. Raises SessionLost when none comes up."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            for zygote in reversed(self._current.zygotes[: tier + 1]):
                if not zygote.is_lost:
                    self._wear(self._current)
                    return zygote
            if not await self._switched.within(deadline - time.monotonic()):
                raise SessionLost("the zygote has ended, and no successor has come up")

    @property
    def generations(self) -> int:
        """How many live: the present one, and those that wait for their last guest."""
        return 1 + len(self._old)

    def top(self) -> int:
        """The highest tier that is ready."""
        return len(self._current.zygotes) - 1

    def is_current(self, zygote: Zygote | None) -> bool:
        """Whether new sessions would be forked from it."""
        return zygote in self._current.zygotes

    async def run(self) -> None:
        """Bring up what is missing, and replace what is worn, for as long as the keeper lives."""
        if not self._ahead.is_set():
            async with anyio.create_task_group() as until_then:
                until_then.start_soon(self._renew)
                await self._ahead.wait()
                until_then.cancel_scope.cancel()
        await self._grow(self._current)
        await self._renew()

    async def _renew(self) -> None:
        while True:
            await self._until_worn(self._current)
            await self._replace()
            # What dies at once, or does not come up, is not to keep the machine busy with being born.
            await anyio.sleep(AGAIN_SECONDS)

    async def _replace(self) -> None:
        """Bring up a successor, and have it serve. When it does not come up, the present one is still worn."""
        try:
            generation = await self._begin()
        except (BelljarError, OSError) as error:
            log("a zygote", error)
            return
        # Where nothing is left of the present one, the first tier of the next serves while the others come up.
        if self._current.zygotes[0].is_lost:
            self._switch(generation)
        await self._grow(generation)
        is_shorter = len(generation.zygotes) < len(self._current.zygotes) and not self._current.is_lost
        if generation is not self._current and (generation.is_lost or is_shorter):
            self._end(generation)
            self._current.renew()  # it has to do for as long again
        elif generation is not self._current:
            self._switch(generation)

    def _switch(self, generation: _Generation) -> None:
        old, self._current = self._current, generation
        self._tasks.start_soon(self._retire, old)
        self._switched.set()
        self._switched = Flag()
        for tier in self.tiers[len(generation.zygotes) :]:
            tier.state, tier.why = "warming", ""
        for index, zygote in enumerate(generation.zygotes):
            self._note(index, zygote)

    async def _begin(self) -> _Generation:
        """Exec a new first tier."""
        started = await self._site.start_zygote()
        try:
            packets.send(
                started.sock,
                {
                    "preload": list(self._preloads[0]),
                    "filter": self._site.program.hex(),
                    "has_boxes": self._site.has_namespaces,
                },
            )
            generation = _Generation(started)
            await self._add(generation, started.sock, self._preloads[0])
        except BaseException:
            started.end()
            raise
        self.begun += 1
        return generation

    async def _grow(self, generation: _Generation) -> None:
        """Fork the further tiers, one from the other, where anything is to be made ahead."""
        if not self._ahead.is_set():
            return
        for index, modules in list(enumerate(self._preloads))[1:]:
            parent = generation.zygotes[-1]
            try:
                ours, theirs = packets.pair()
            except OSError as error:
                self._note_failure(generation, index, error)
                return
            try:
                with theirs:
                    await parent.channel.ask({"op": "grow", "preload": list(modules)}, [theirs.fileno()])
                zygote = await self._add(generation, ours, modules)
            except (BelljarError, OSError) as error:
                ours.close()
                self._note_failure(generation, index, error)
                return
            if generation is self._current:
                self._note(index, zygote)

    def _note_failure(self, generation: _Generation, index: int, error: Exception) -> None:
        log(f"the tier {self.tiers[index].name}", error)
        if generation is self._current:
            for tier in self.tiers[index:]:
                tier.state, tier.why = "failed", str(error)
            self._on_change()

    async def _add(self, generation: _Generation, sock: Any, modules: Sequence[str]) -> Zygote:
        ready = await zygote_ready(sock, modules)

        def on_event(packet: dict[str, Any]) -> None:
            zygote.living.discard(packet["pid"])
            generation.idle.set()
            self._on_exit(packet)

        channel = PacketChannel(sock, "zygote", on_event)
        zygote = Zygote(channel, ready)
        generation.zygotes.append(zygote)
        self._tasks.start_soon(self._serve, generation, zygote)
        return zygote

    async def _serve(self, generation: _Generation, zygote: Zygote) -> None:
        await zygote.channel.run()
        generation.worn.set()
        generation.idle.set()
        self._on_loss(zygote)

    def _note(self, index: int, zygote: Zygote) -> None:
        wrong = {**zygote.failed, **zygote.cold}
        self.tiers[index].state = "ready"
        self.tiers[index].why = "; ".join(f"{name}: {why}" for name, why in wrong.items())
        self._on_change()

    def _wear(self, generation: _Generation) -> None:
        # Not while several old ones wait for their last guests: each is as large as the libraries.
        if generation.forks >= self._most_sessions and len(self._old) < MOST_OLD:
            generation.worn.set()

    async def _until_worn(self, generation: _Generation) -> None:
        age = time.monotonic() - generation.born_at
        await generation.worn.within(self._most_seconds - age)

    async def _retire(self, generation: _Generation) -> None:
        """End a generation when nobody lives in it any more."""
        self._old.append(generation)
        # The guests of one that has died are dead; those of the others are not.
        while any(zygote.living for zygote in generation.zygotes if not zygote.is_lost):
            generation.idle = Flag()
            await generation.idle.wait()
        self._old.remove(generation)
        self._end(generation)

    def _end(self, generation: _Generation) -> None:
        # The highest first: each is a child of the one before it.
        for zygote in reversed(generation.zygotes):
            zygote.channel.close()
        generation.started.end()

    def close(self) -> None:
        """End every zygote, and every guest with them."""
        for generation in (*self._old, self._current):
            with contextlib.suppress(OSError):
                self._end(generation)


def tier_of(imports: Sequence[str], needs: Mapping[str, int]) -> int:
    """The lowest tier that has ready what code with these imports wants. `needs` is from `needs_of`."""
    return max((needs.get(name, 0) for name in imports), default=0)


def needs_of(
    tiers: Mapping[str, Sequence[str]],
    owners: Mapping[str, Sequence[str]],
    requires: Mapping[str, Sequence[str]],
) -> dict[str, int]:
    """For each name that can be imported: the tier from which on all that it builds on has been imported.

    `owners` has the distributions that an import name comes from, `requires` those that a distribution requires.
    """
    first: dict[str, int] = {}
    for index, modules in enumerate(tiers.values()):
        for module in modules:
            first.setdefault(module.partition(".")[0], index)
    by_owner = {owner: index for name, index in first.items() for owner in owners.get(name, ())}
    needs = dict(first)
    for name, own in owners.items():
        needs[name] = max((by_owner.get(owner, 0) for owner in _closure(own, requires)), default=0)
        needs[name] = max(needs[name], first.get(name, 0))
    return needs


def _closure(own: Sequence[str], requires: Mapping[str, Sequence[str]]) -> set[str]:
    seen: set[str] = set()
    pending = list(own)
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending += requires.get(name, ())
    return seen
