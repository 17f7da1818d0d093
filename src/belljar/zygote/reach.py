"""Signals to a set of processes that may fork while they are told: stopping and killing until it holds."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

_ROUNDS = 2000

Look = Callable[[], list[int]]
"""The pids of all who are meant, as they are now."""


def state(pid: int) -> bytes:
    """As in proc(5): Z and X are entries that the parent has not read yet; X also what is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1]
    except (FileNotFoundError, ProcessLookupError):
        return b"X"


def send(pid: int, number: int) -> None:
    """Signal one process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill(look: Look) -> bool:
    """Kill all, and those that they start meanwhile. False when there are some still after many rounds."""
    for _ in range(_ROUNDS):
        alive = [pid for pid in look() if state(pid) not in (b"Z", b"X")]
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
        moving = [pid for pid in look() if state(pid) not in (b"T", b"t", b"Z", b"X")]
        quiet = 0 if moving else quiet + 1
        if quiet == 2:
            return True
        for pid in moving:
            send(pid, signal.SIGSTOP)
        time.sleep(0.0002)
    return False
