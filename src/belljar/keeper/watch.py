"""Looks at a run for the limits that the kernel does not hold by itself, and stops the run that is over one."""

from __future__ import annotations

import asyncio
import contextlib
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
from belljar.keeper.workspace import Workspace
from belljar.wire.execution import MIB, Limits

WATCH_SECONDS = 0.05
MAX_LOCKS = 20_000
"""Record locks of a session: they are the kernel's memory, which no cgroup counts."""
_NOTABLE_BYTES = 4 * MIB
"""So many of them take so much."""
_COUNT_LOCKS_SECONDS = 1.0
_NEAR = 0.5
"""The share of its memory from which on a session is looked at more often."""


class Locks:
    """Counts the record locks of a session, which is dear: at once when so much of the machine's memory went where they
    are since they were counted last, whoever took it, and now and then in any case, since others give such memory back
    meanwhile."""

    def __init__(self) -> None:
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
        processes = list(members())
        # In a thread: who holds many makes the lists long, and the other sessions go on.
        held = await anyio.to_thread.run_sync(lambda: sum(map(outside.record_locks, processes)))
        took = time.perf_counter() - started
        self._due_at = started + max(_COUNT_LOCKS_SECONDS, 20 * took)
        run.peak_locks = max(run.peak_locks, held)
        self._base_bytes = unreclaimable - held * _NOTABLE_BYTES // MAX_LOCKS
        return held > MAX_LOCKS


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
                await _ask(run, watched, watched.cgroup)
            started = time.perf_counter()
            if started >= rested_at:
                share = await _look(run, watched)
                # A session with many processes or files takes longer to look at, and is not to cost more than others;
                # but one that is near its limit is not left alone for long.
                now = time.perf_counter()
                rested_at = now + (4 if share < _NEAR else 1) * (now - started)
            await asyncio.sleep(WATCH_SECONDS)


async def _look(run: Run, watched: Watched) -> float:
    if await watched.locks.are_too_many(run, watched.processes, may_wait=False):
        run.exceeded("file_locks")
    share = await look_at_memory(run, watched)
    if not watched.has_namespaces:
        await _look_at_disk(run, watched)
    return share


async def _ask(run: Run, watched: Watched, cgroup: Cgroup) -> None:
    """The kernel kills at the limit, and who is killed cannot say any more where it was, and what it had."""
    used, most = cgroup.memory_bytes(), watched.limits.memory_bytes
    if run.has_much(used, most):
        watched.guest.ask_for_largest()
    if run.comes_near(used, most):
        await watched.guest.stack()


async def look_at_memory(run: Run, watched: Watched) -> float:
    """Where the kernel keeps no limit on all of it: add it up, and stop a run that is over.

    Returns the share that is used, as far as it is known. Raises SessionLost when the session has been closed.
    """
    if watched.cgroup is None:
        used = await added_up(watched)
    elif (counted := watched.cgroup.watched_bytes()) is not None:
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
        lambda: (sum(map(outside.memory_bytes, members)), outside.memory_bytes(watched.zygote_pid))
    )
    if watched.has_namespaces:
        # Its files are in memory.
        used += (await watched.workspace.in_thread(watched.box.use)).disk_bytes
        used += watched.box.network_bytes()
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
