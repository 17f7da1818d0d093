"""The guests of one session, one after the other, and what else is in its box with them."""

from __future__ import annotations

import contextlib
import functools
import signal
import time
from collections.abc import Callable, Sequence

import anyio

from belljar.errors import SessionLost
from belljar.keeper import birth, channel, outside
from belljar.keeper.boxes import Box, Site
from belljar.keeper.cgroups import Cgroup
from belljar.keeper.guests import Guest
from belljar.keeper.waiting import Hand
from belljar.keeper.zygotes import Zygote, Zygotes
from belljar.records import Limits

DEATH_SECONDS = 10
"""For the kernel to take a killed process apart."""
_GUEST_FDS = 4  # stdin, stdout, stderr, control
_ATTACHED = b"a"


class Succession:
    """One guest at a time, forked from the `tier` into the session's `box`, and moved into its cgroup by `hand`.

    `on_fault` is told what one made its readers stumble over.
    """

    def __init__(
        self,
        site: Site,
        zygotes: Zygotes,
        tier: int,
        box: Box,
        index: int,
        limits: Limits,
        cgroup: Cgroup | None,
        hand: Hand,
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._site = site
        self._zygotes = zygotes
        self._tier = tier
        self._box = box
        self._index = index
        self._limits = limits
        self._cgroup = cgroup
        self._hand = hand
        self._on_fault = on_fault
        self.guest: Guest | None = None
        """The present one."""
        self.zygote: Zygote | None = None
        """What it was forked from."""
        self.zygote_pid = 0
        """Known where no cgroup counts memory."""
        self._is_stopped = False
        """By the box, all that is in it."""
        self._is_alone = False
        """Stopped, being the only process."""
        self._is_forking = False
        self._known: dict[int, Guest] = {}
        """Those that the zygote has not reaped yet, by their numbers."""
        self._early: dict[int, tuple[int, float]] = {}
        """Ends of guests that we did not know yet: one may be over before we hear that it was born."""

    async def fork(self, *, is_first: bool = False, rehearsal: Sequence[str] = ()) -> dict[str, float]:
        """Fork a guest, and wait until it is locked in. Returns the laps in seconds; raises SessionLost."""
        started = time.perf_counter()
        self._early.clear()
        self._is_forking = True
        try:
            try:
                guest, laps = await self._born(rehearsal=rehearsal)
            except SessionLost:
                if self.zygote is None or not self.zygote.is_lost:
                    raise
                guest, laps = await self._born(rehearsal=rehearsal)  # from its successor
        finally:
            self._is_forking = False
        self.guest = self._known[guest.number] = guest
        if guest.number in self._early:
            self.exited(guest.number, *self._early[guest.number])
        guest.serve(self._on_fault)
        try:
            if self._cgroup is not None:
                # In a thread: the kernel makes the caller wait for every processor to pass a quiet point.
                await self._hand.do(functools.partial(self._cgroup.attach, guest.pid))
            await guest.send(_ATTACHED)
            laps["attach"] = time.perf_counter() - started - sum(laps.values())
            await self._look_at(guest)
        except BaseException:
            if not is_first:  # else no warden knows the box's root yet: the session's end ends it
                with anyio.CancelScope(shield=True):
                    await self.kill()
            raise
        laps |= guest.laps
        laps["guest"] = time.perf_counter() - started
        return laps

    async def _born(self, *, rehearsal: Sequence[str]) -> tuple[Guest, dict[str, float]]:
        """Have the zygote fork."""
        zygote = self.zygote = await self._zygotes.pick(self._tier)
        has_cgroup = self._cgroup is not None
        return await birth.fork(
            zygote,
            self._site,
            self._box,
            self._index,
            self._limits,
            has_cgroup=has_cgroup,
            rehearsal=rehearsal,
        )

    async def _look_at(self, guest: Guest) -> None:
        """From outside, and before it is given a line of code: is it what it has to be? Raises SessionLost."""
        if not await guest.ready.within(channel.ANSWER_SECONDS) or guest.exited.is_set():
            guest.flush()
            why = guest.complaint.strip() or f"it ended with {guest.exit_status}"
            raise SessionLost(f"a guest could not lock itself in: {why}")
        uid, gid = self._site.identity(self._index)
        has_namespaces = self._site.has_namespaces
        if wrong := outside.unlocked(
            guest.pid,
            uid,
            gid,
            _GUEST_FDS,
            has_namespaces=has_namespaces,
            has_bounding_set=not (has_namespaces or self._site.has_own_uids),
        ):
            raise SessionLost(f"a guest is not locked in: {'; '.join(wrong)}")
        if self._cgroup is None:
            self.zygote_pid = outside.parent(guest.pid)
            if not has_namespaces:
                self.zygote_pid = outside.parent(self.zygote_pid)  # between the two is the warden

    def exited(self, number: int, status: int, cpu_seconds: float) -> None:
        """The zygote has reaped guest `number`."""
        guest = self._known.pop(number, None)
        if guest is not None:
            guest.end(status, cpu_seconds)
        elif self._is_forking:
            self._early[number] = (status, cpu_seconds)

    def lost(self, zygote: Zygote) -> bool:
        """It has died, and with it what was forked from it, of which nobody will say so: whether the guest was."""
        guest = self.guest
        if guest is None or self.zygote is not zygote or guest.exited.is_set():
            return False
        guest.end(-signal.SIGKILL, 0.0)
        return True

    async def kill(self) -> None:
        """Kill everything in the box but its pid 1: files stay, variables go."""
        guest, self.guest = self.guest, None
        self._is_alone = self._is_stopped = False
        if guest is not None:
            try:
                await self._box.tell("kill")
                await guest.dead(DEATH_SECONDS)
                guest.flush()  # its last words
            finally:
                guest.close()

    async def kill_spent(self) -> None:
        """Kill what a guest that died by itself has left: its death may have woken that."""
        if self.guest is not None and self.guest.is_spent:
            await self.kill()

    async def close(self) -> None:
        """Let go of the guest; its box was killed."""
        guest, self.guest = self.guest, None
        if guest is not None:
            guest.ignore()
            await guest.dead(DEATH_SECONDS)
            guest.close()

    # -- what is in the box --------------------------------------------------------------------------------

    def tasks(self) -> int:
        """Processes and threads of the session, by the kernel's own count; 0 where there is none."""
        return self._cgroup.tasks() if self._cgroup is not None else 0

    def processes(self) -> list[int]:
        """Those in the box, as its warden finds them; none where it has no guest."""
        return self._box.processes(self.guest.pid) if self.guest is not None else []

    async def stop(self, guest: Guest) -> None:
        """Stop everything in the box, until it is told to go on."""
        # By itself where it is alone, as is usual: by the kernel's count, taken when it cannot fork any more.
        if await guest.stop_alone() and self.tasks() == 1:
            self._is_alone = True
        else:
            await self._box.tell("stop")
            self._is_stopped = True

    async def go_on(self, guest: Guest, data: bytes) -> None:
        """Hand `data` to the guest, and have it go on with all that was stopped with it."""
        if self._is_stopped:
            await self._box.tell("continue")
        await guest.send(data, is_stopped=self._is_alone)
        self._is_alone = self._is_stopped = False

    def others(self) -> list[int]:
        """All but the guest, by their numbers inside the box."""
        if self.tasks() == 1:
            return []
        found = []
        for pid in self.processes():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found.append(outside.pid_inside(pid))
        return found

    async def sweep(self, guest: Guest, spared: Sequence[int] = ()) -> bool:
        """Kill all but the guest, and what is `spared` by its numbers inside. False where the guest has ended."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            await self._box.tell("sweep", keep=[outside.pid_inside(guest.pid), *spared])
            return True
        return False
