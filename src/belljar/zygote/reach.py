"""Signals to a set of processes that may fork while they are told: stopping and killing until it holds."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator

_ROUNDS = 2000

Look = Callable[[], list[int]]
"""The pids of all who are meant, as they are now."""


_DEAD = (b"Z", b"X")
_STOPPED = (b"T", b"t")
_PF_EXITING = 0x4  # include/linux/sched.h: the flags of proc(5)


def is_dead(pid: int) -> bool:
    """Whether nothing of a process runs any more. Its first thread alone may have ended, and says Z then."""
    return all(state in _DEAD for state, _ in _threads(pid))


def is_quiet(pid: int) -> bool:
    """Whether every thread of a process is stopped or dead, or will stop before it runs code of the user's again.

    That is so of one that waits in the kernel (D), as a parent does for its vfork: the signal is pending. One that is
    on its way out has yet to be waited for, since its end may wake others.
    """
    return all(
        state in _DEAD or state in _STOPPED or (state == b"D" and not flags & _PF_EXITING)
        for state, flags in _threads(pid)
    )


def _threads(pid: int) -> Iterator[tuple[bytes, int]]:
    """State and flags of each, as in proc(5): Z and X are entries that the parent has not read yet."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return
    for thread in threads:
        with (
            contextlib.suppress(FileNotFoundError, ProcessLookupError),
            open(f"/proc/{pid}/task/{thread}/stat", "rb") as file,
        ):
            fields = file.read().rpartition(b") ")[2].split()
            yield fields[0], int(fields[6])


def send(pid: int, number: int) -> None:
    """Signal one process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def send_all(number: int) -> None:
    """Signal all that we may reach, at one moment: who forks meanwhile does so before, or after it has heard."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(-1, number)


def stop_all(look: Look) -> None:
    """Stop all; what cannot be stopped is killed, so that it does not go on behind the end of its run."""
    send_all(signal.SIGSTOP)
    if not await_stop(look):
        send_all(signal.SIGKILL)
        kill(look)


def sweep(look: Look, keep: Collection[int]) -> None:
    """Kill all but `keep`, which are stopped from then on; all of them where that does not come to an end."""
    stop_all(look)  # who is stopped does not fork: a chain of short lives would be gone wherever one looks
    if not kill(lambda: [pid for pid in look() if pid not in keep]):
        send_all(signal.SIGKILL)


def kill(look: Look) -> bool:
    """Kill all, and those that they start meanwhile. False when there are some still after many rounds."""
    for _ in range(_ROUNDS):
        alive = [pid for pid in look() if not is_dead(pid)]
        if not alive:
            return True
        for pid in alive:
            send(pid, signal.SIGKILL)
        time.sleep(0.0005)
    return False


def await_stop(look: Look) -> bool:
    """Stop all, until two looks in a row find nobody moving: one may be born, or be woken by a death, in between."""
    quiet = 0
    for _ in range(_ROUNDS):
        moving = [pid for pid in look() if not is_quiet(pid)]
        quiet = 0 if moving else quiet + 1
        if quiet == 2:
            return True
        for pid in moving:
            send(pid, signal.SIGSTOP)
        time.sleep(0.0002)
    return False
