"""Memory of sessions that nobody uses for a while, given back to the machine: to its swap, and, of clean pages of
files, to nobody. A guest is stopped then and is not asked; what it touches again comes back as it was.

Two ways, the better first: the session's cgroup of version 2 (`memory.reclaim`, Linux 5.19), which knows what is the
session's own; and advice on each mapping of its processes (process_madvise(2), Linux 5.10), which leaves alone what a
page is shared with: the zygote's memory, and libraries that others have mapped too.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

import anyio
import anyio.to_thread

from belljar import kernel
from belljar.keeper import outside
from belljar.keeper.cgroups import Cgroup, Tree
from belljar.keeper.journal import log
from belljar.records import MIB, IdleMemory

_PIECE_BYTES = 32 * MIB
"""Asked for at once: a run that begins waits for no more than that."""
_MOST_PIECES = 5000
"""Of one session, which may have as many mappings as it likes: the others are to have their turn."""
_LOOKS = 4
"""In the time after which a session is idle."""
_NO_SWAP = "this machine has no swap: only clean pages of files are given back"


class Session(Protocol):
    """What is asked of a session here."""

    is_offered: bool

    def idle_seconds(self) -> float:
        """Since its last run ended, or it was made; 0 while it runs code."""

    async def give_back(self) -> int:
        """Have the kernel take what it can until a run begins; how many bytes that were. Raises OSError."""


class Idle:
    """Looks after the sessions of one keeper that have a name: those that are parked are to be quick."""

    def __init__(self, seconds: float, sessions: Callable[[], Collection[Session]]) -> None:
        self._seconds = seconds
        self._sessions = sessions
        self.offered = 0
        """Sessions whose memory was offered, each once for each time that it is idle."""
        self.given_back_bytes = 0
        self.failed = 0

    async def run(self) -> None:
        """For as long as the keeper lives, one session after the other."""
        while True:
            await anyio.sleep(self._seconds / _LOOKS)
            for session in list(self._sessions()):
                if not session.is_offered and session.idle_seconds() >= self._seconds:
                    await self._offer(session)

    async def _offer(self, session: Session) -> None:
        session.is_offered = True
        try:
            self.given_back_bytes += await session.give_back()
            self.offered += 1
        except Exception as error:  # noqa: BLE001 - nobody waits for this, and the others go on
            self.failed += 1
            log("memory of an idle session", error)


def found(seconds: float, tree: Tree | None) -> IdleMemory:
    """The way that works here, found by trying; or why there is none."""
    if not seconds:
        return IdleMemory(way="none", detail="BELLJAR_IDLE_MEMORY_SECONDS is 0")
    note = "" if outside.has_swap() else _NO_SWAP
    if tree is not None and tree.has_reclaim:
        return IdleMemory(way="memory.reclaim", detail=note)
    try:
        for pid in outside.tree(os.getpid())[1:]:
            with contextlib.suppress(ProcessLookupError):  # some are there for a moment only
                _advise(pid, [])  # nothing yet, but what it needs is asked for
    except OSError as error:
        return IdleMemory(
            way="none",
            detail=f"no memory.reclaim (cgroups of version 2, Linux 5.19), and process_madvise: {error.strerror}; "
            "start Belljar as root, or with systemd-run --user --scope -p Delegate=yes",
        )
    return IdleMemory(way="process_madvise", detail=note)


def give_back(cgroup: Cgroup | None, processes: Iterable[int], goes_on: Callable[[], bool]) -> int:
    """Have the kernel take what it can of a session for as long as `goes_on`; how many bytes that were.

    Runs in a thread. Raises OSError.
    """
    if cgroup is not None and cgroup.has_reclaim:
        before = cgroup.memory_bytes()
        with cgroup.swapping():
            cgroup.reclaim(_PIECE_BYTES, goes_on)
        return max(0, before - cgroup.memory_bytes())
    pieces = itertools.count()
    with cgroup.swapping() if cgroup is not None else contextlib.nullcontext():
        return _advised(processes, lambda: next(pieces) < _MOST_PIECES and goes_on())


def _advised(processes: Iterable[int], goes_on: Callable[[], bool]) -> int:
    given = 0
    has_swap = outside.has_swap()
    for pid in processes:
        before = outside.resident_bytes(pid)
        # A process that has ended meanwhile has given back all. Another that has its number by now comes to no harm.
        if not goes_on():
            break
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            _advise(pid, outside.mappings(pid, with_anonymous=has_swap), goes_on)
        given += max(0, before - outside.resident_bytes(pid))
    return given


def _advise(
    pid: int, mappings: Iterable[tuple[int, int]], goes_on: Callable[[], bool] = lambda: True
) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        kernel.page_out(pidfd, 0, 0)
        for start, end in mappings:
            for at in range(start, end, _PIECE_BYTES):
                if not goes_on():
                    return
                # Some cannot be paged out: locked ones, and the kernel's own.
                with contextlib.suppress(OSError):
                    kernel.page_out(pidfd, at, min(_PIECE_BYTES, end - at))
    finally:
        os.close(pidfd)
