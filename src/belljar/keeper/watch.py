"""Looks at a run for the limits that the kernel does not hold by itself, and stops the run that is over one."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

import anyio
import anyio.to_thread

from belljar.errors import SessionLost
from belljar.keeper import outside
from belljar.keeper.boxes import Box
from belljar.keeper.cgroups import Cgroup
from belljar.keeper.guests import Run
from belljar.keeper.workspace import Workspace
from belljar.wire.execution import MIB, Limits

WATCH_SECONDS = 0.05
MAX_LOCKS = 20_000
"""Record locks of a session: they are the kernel's memory, which no cgroup counts."""
_NOTABLE_BYTES = 4 * MIB
"""Some 20,000 of them take so much."""


@dataclass(frozen=True)
class Watched:
    """What there is to be looked at."""

    box: Box
    workspace: Workspace
    guest_pid: int
    limits: Limits
    cgroup: Cgroup | None
    has_namespaces: bool
    unreclaimable_bytes: int
    """Of the machine, when the session was made."""


async def until_over(run: Run, watched: Watched) -> None:
    """Watch the run until it has ended, or has to be stopped, or its session is closed."""
    with contextlib.suppress(SessionLost):
        await _watch(run, watched)


async def _watch(run: Run, watched: Watched) -> None:
    baseline = outside.memory_bytes(watched.guest_pid) if watched.cgroup is None else 0
    rested_at = 0.0
    while True:
        await anyio.sleep(WATCH_SECONDS)  # first: a short run costs no look
        if run.stop is not None or run.done.is_set():
            return
        started = time.perf_counter()
        if watched.cgroup is None and not watched.has_namespaces:
            _count_processes(run, watched)
        await _look_at_locks(run, watched)
        if run.stop is not None or started < rested_at:
            continue
        if watched.cgroup is None:
            await _look_at_memory(run, watched, baseline)
        elif (used := watched.cgroup.watched_bytes()) is not None:
            _hold_memory(run, watched, used)
        if not watched.has_namespaces:
            await _look_at_disk(run, watched)
        # A session with many processes or files takes longer to look at, and is not to cost more than others.
        now = time.perf_counter()
        rested_at = now + 4 * (now - started)


def _count_processes(run: Run, watched: Watched) -> None:
    """The user's other processes are in the kernel's count, which is a wall far behind this one."""
    members = watched.box.processes(watched.guest_pid)
    run.peak_pids = max(run.peak_pids, sum(map(outside.threads, members)))
    if run.peak_pids > watched.limits.pids:
        run.ask_to_stop("pids")


def _hold_memory(run: Run, watched: Watched, used: int) -> None:
    run.peak_bytes = max(run.peak_bytes, used)
    if used > watched.limits.memory_bytes:
        run.ask_to_stop("out_of_memory")


async def _look_at_memory(run: Run, watched: Watched, baseline: int) -> None:
    """Without a cgroup: add up what the whole tree has."""
    members = watched.box.processes(watched.guest_pid)
    used = sum(map(outside.memory_bytes, members)) - baseline
    if watched.has_namespaces:
        # Its files are in memory.
        used += (await watched.workspace.in_thread(watched.box.use)).disk_bytes
        used += watched.box.network_bytes()
    _hold_memory(run, watched, used)


async def _look_at_locks(run: Run, watched: Watched) -> None:
    """Counting them is dear, so only when so much of the machine's memory went where they are, whoever took it."""
    if outside.unreclaimable_bytes() - watched.unreclaimable_bytes < _NOTABLE_BYTES:
        return
    members = watched.box.processes(watched.guest_pid)
    # In a thread: who holds many makes the lists long, and the other sessions go on.
    held = await anyio.to_thread.run_sync(lambda: sum(map(outside.record_locks, members)))
    run.peak_locks = max(run.peak_locks, held)
    if held > MAX_LOCKS:
        run.ask_to_stop("file_locks")


async def _look_at_disk(run: Run, watched: Watched) -> None:
    """On the machine itself no file system of its own bounds a session."""
    use = await watched.workspace.in_thread(watched.box.use)
    if use.full is not None:
        run.ask_to_stop(use.full)
