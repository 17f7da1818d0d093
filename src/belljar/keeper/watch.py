"""Looks at a run for the limits that the kernel does not hold by itself, and stops the run that is over one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import anyio.to_thread

from belljar.errors import SessionLost
from belljar.keeper import outside
from belljar.keeper.boxes import Box
from belljar.keeper.cgroups import Cgroup
from belljar.keeper.guests import Guest
from belljar.keeper.runs import Run
from belljar.keeper.waiting import Turns
from belljar.keeper.workspace import Workspace
from belljar.records import MIB, Limits

WATCH_SECONDS = 0.05
MAX_LOCKS = 20_000
"""Record locks of a session: they are the kernel's memory, which no cgroup counts."""
_NOTABLE_BYTES = 4 * MIB
"""So many of them take so much."""
_COUNT_LOCKS_SECONDS = 1.0
_MOST_SECONDS = 1.0
"""Of a processor, for one count of locks: whose locks take longer to count has too many of them, or of descriptors."""
_NOTABLE_CONNECTIONS = 16 * MIB
"""What so few may take is not looked at: a server with a hundred clients."""
_SHORT = 1 / 8
"""The share of the machine's memory below which what is left is little, and above which what is lost is much."""
_NEAR = 0.5
"""The share of its memory from which on a session is looked at more often."""
_MOST_REST_SECONDS = 1.0
"""After a look at everything, however long it took: in more, code takes all memory that it finds."""


class Dear:
    """What a keeper's sessions have in common that is dear to look at.

    The turns at locks and at connections are each their own, since locks may take a second to count, in which a session
    can take more memory than it may have, and the machine has.
    """

    def __init__(self) -> None:
        self.locks = Turns()
        self.connections = Turns(rest=1.0)
        self._least_bytes = outside.unexplained_bytes()

    def lost_bytes(self) -> int:
        """What the machine has lost to nobody's count since it was seen at its best."""
        now = outside.unexplained_bytes()
        self._least_bytes = min(self._least_bytes, now)
        return now - self._least_bytes


class Locks:
    """Counts the record locks of a session, which is dear: at once when so much of the machine's memory went where they
    are since they were counted last, whoever took it, and now and then in any case, since others give such memory back
    meanwhile."""

    def __init__(self, dear: Turns) -> None:
        self._dear = dear
        self._base_bytes = outside.unreclaimable_bytes()
        """At best, or when they were counted last: as it were without them."""
        self._due_at = 0.0

    async def are_too_many(self, run: Run, members: Callable[[], Iterable[int]], *, may_wait: bool) -> bool:
        """Whether a run holds too many. Where it `may_wait`, only the machine's memory makes us count."""
        unreclaimable = outside.unreclaimable_bytes()
        self._base_bytes = min(self._base_bytes, unreclaimable)
        started = time.perf_counter()
        if unreclaimable - self._base_bytes < _NOTABLE_BYTES and (may_wait or started < self._due_at):
            return False
        if not may_wait and not self._dear.is_free():
            return False  # the run is looked at again soon
        # In a thread: who holds many makes the lists long, and the other sessions go on.
        held, took = await self._dear.take(functools.partial(_count_locks, list(members())))
        self._due_at = time.perf_counter() + max(_COUNT_LOCKS_SECONDS, 20 * took)
        run.peak_locks = max(run.peak_locks, held)
        self._base_bytes = unreclaimable - held * _NOTABLE_BYTES // MAX_LOCKS
        return held > MAX_LOCKS


class Connections:
    """The memory that the kernel has for a session and no cgroup counts. To look at all connections is dear.

    Until a program accepts one, that and what was sent by it is nobody's. And bytes that wait in any of them can keep
    much more memory than they take themselves, which is counted nowhere at all. It looks like that of pipes and of
    drivers, so it is a session's only where the machine is short of memory, has lost much to nobody's count, and the
    session may have it all.
    """

    def __init__(self, dear: Dear) -> None:
        self._dear = dear
        self._seen_bytes = 0

    async def uncounted_bytes(self, box: Box, cgroup: Cgroup, limits: Limits, *, may_wait: bool) -> int:
        """How many bytes that are. Unless it `may_wait` or the session may be over its memory, connections are left for
        the next time where others are at it."""
        most, ended = box.connection_bytes()
        is_short = most > 0 and _is_short()
        if most < _NOTABLE_CONNECTIONS and not is_short:
            self._seen_bytes = 0
            return ended
        # Somebody is always at it where many sessions do as this one does.
        may_be_over = is_short or most + ended + cgroup.memory_bytes() > limits.memory_bytes
        if not (may_wait or may_be_over or self._dear.connections.is_free()):
            return ended

        def look() -> int:
            waiting = box.network_bytes(is_counted=True, enough_bytes=limits.memory_bytes)
            return waiting if waiting > limits.memory_bytes else waiting + self.kept_bytes(box, limits)

        self._seen_bytes = await self._dear.connections.take(look)
        return ended + self._seen_bytes

    def known_bytes(self, box: Box) -> int:
        """The same without a look, as it was at the last one: a run is looked at now and then, and at its end."""
        return box.connection_bytes()[1] + self._seen_bytes

    def kept_bytes(self, box: Box, limits: Limits) -> int:
        """What bytes that wait in connections keep from the machine, if that is short of it. In a thread."""
        if not _is_short():
            return 0
        lost = self._dear.lost_bytes()
        if lost < max(limits.memory_bytes, _SHORT * outside.machine_bytes()):
            return 0
        return min(lost, box.kept_bytes(enough_bytes=lost))


def _is_short() -> bool:
    return outside.available_share() < _SHORT


def _count_locks(processes: list[int]) -> tuple[int, float]:
    """How many they hold, and seconds of a processor until that was known."""
    started = time.thread_time()
    held = outside.record_locks(processes, MAX_LOCKS, _MOST_SECONDS)
    return held, min(_MOST_SECONDS, time.thread_time() - started)


@dataclass(frozen=True)
class Watched:
    """What there is to be looked at."""

    box: Box
    workspace: Workspace
    limits: Limits
    cgroup: Cgroup | None
    has_namespaces: bool
    zygote_pid: int
    """It shares memory with its guests, which is not theirs: where no cgroup counts, its own share tells how much."""
    locks: Locks
    connections: Connections
    guest: Guest
    is_asked: bool
    """It runs code, and so can be asked where that is as memory becomes short."""

    def processes(self) -> list[int]:
        return list(self.box.processes(self.guest.pid))


async def until_over(run: Run, watched: Watched) -> None:
    """Watch the run until its session has been stopped, killed or closed: also while it has time to end itself.

    To be begun when it has run for WATCH_SECONDS.
    """
    rested_at = 0.0
    with contextlib.suppress(SessionLost):
        while not run.is_over:
            if not (run.has_begun or run.done.is_set() or run.stop):
                # It was slow to stop itself at the end of its last run, and was stopped before that; or it has yet to
                # read what was sent then, and the code waits for its turn.
                watched.guest.go_on()
            if watched.cgroup is None and not watched.has_namespaces:
                _count_processes(run, watched)
            if watched.cgroup is not None and watched.is_asked and not run.done.is_set():
                _ask(run, watched, watched.cgroup)
            # Apart from the other looks: these have rests of their own, and locks are made by the thousand meanwhile.
            if await watched.locks.are_too_many(run, watched.processes, may_wait=False):
                run.exceeded("file_locks")
            started = time.perf_counter()
            if started >= rested_at:
                worked = time.process_time()
                share = await _look(run, watched)
                # A session with many processes or files takes longer to look at, and is not to cost more than others;
                # but one that is near its limit is not left alone for long. At most what the keeper worked meanwhile:
                # nobody rests for what the machine did besides.
                now = time.perf_counter()
                took = min(now - started, time.process_time() - worked)
                rested_at = now + min(_MOST_REST_SECONDS, (4 if share < _NEAR else 1) * took)
            await asyncio.sleep(WATCH_SECONDS)


async def _look(run: Run, watched: Watched) -> float:
    share = await look_at_memory(run, watched)
    if has_hidden(watched):
        run.exceeded("hidden")
    if not watched.has_namespaces:
        await _look_at_disk(run, watched)
    return share


def has_hidden(watched: Watched) -> bool:
    """Whether a process could hold files and locks that nobody sees, where no file system of its own bounds them."""
    return not watched.has_namespaces and any(map(outside.is_hidden, watched.processes()))


def _ask(run: Run, watched: Watched, cgroup: Cgroup) -> None:
    """The kernel kills at the limit, and who is killed cannot say any more where it was, and what it had."""
    used, most = cgroup.memory_bytes(), watched.limits.memory_bytes
    if run.has_much(used, most):
        watched.guest.ask_for_largest()
    if run.comes_near(used, most):
        watched.guest.ask_for_place()


async def look_at_memory(run: Run, watched: Watched, *, may_wait: bool = False) -> float:
    """Where the kernel keeps no limit on all of it: add it up, and stop a run that is over.

    Returns the share that is used, as far as it is known. Unless it `may_wait` or may be over already, what is dear to
    look at is left for the next time where others are at it. Raises SessionLost when the session has been closed.
    """
    cgroup = watched.cgroup
    if cgroup is None:
        used = await added_up(watched)
    elif (
        uncounted := await watched.connections.uncounted_bytes(
            watched.box, cgroup, watched.limits, may_wait=may_wait
        )
    ) >= _NOTABLE_BYTES:
        used = uncounted + cgroup.memory_bytes()
    elif (counted := cgroup.watched_bytes()) is not None:
        used = counted
    else:
        return 0.0
    run.peak_bytes = max(run.peak_bytes, used)
    if used > watched.limits.memory_bytes:
        run.exceeded("out_of_memory")
    return used / watched.limits.memory_bytes


async def added_up(watched: Watched) -> int:
    """The memory of all processes, where no cgroup counts it. Raises SessionLost when the session has been closed."""
    members = watched.processes()
    # In a thread: a process with much memory makes it long, and the other sessions go on.
    used, born_with = await anyio.to_thread.run_sync(
        lambda: (
            sum(map(outside.memory_bytes, members))
            + watched.box.network_bytes(is_counted=False, enough_bytes=watched.limits.memory_bytes)
            + watched.connections.kept_bytes(watched.box, watched.limits),
            outside.memory_bytes(watched.zygote_pid),
        )
    )
    if watched.has_namespaces:
        # Its files are in memory.
        used += (await watched.workspace.in_thread(watched.box.use)).disk_bytes
        used += watched.box.connection_bytes()[1]
    return used - born_with


def _count_processes(run: Run, watched: Watched) -> None:
    """The user's other processes are in the kernel's count, which is a wall far behind this one."""
    members = watched.processes()
    run.peak_pids = max(run.peak_pids, sum(map(outside.threads, members)))
    if run.peak_pids > watched.limits.pids:
        run.exceeded("pids")


async def _look_at_disk(run: Run, watched: Watched) -> None:
    """On the machine itself no file system of its own bounds a session."""
    use = await watched.workspace.in_thread(watched.box.use)
    if use.full is not None:
        run.exceeded(use.full)
