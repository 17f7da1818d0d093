"""System calls that nobody else makes for us."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from belljar import kernel


def _states(pids: list[int]) -> set[str]:
    return {Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] for pid in pids}


def _kept_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_who_stands_still_does_so_until_it_is_killed() -> None:
    before = _kept_bytes()
    pids = [kernel.stand_still(0) for _ in range(200)]
    try:
        assert len(set(pids)) == 200
        deadline = time.monotonic() + 10
        while _states(pids) != {"S"}:  # on their way
            assert time.monotonic() < deadline
        sum(range(1_000_000))  # we go on, on a stack and with memory of our own
        assert _states(pids) == {"S"}
        assert _kept_bytes() - before < 2**20
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    assert {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids} == {-signal.SIGKILL}


def test_its_name_is_that_of_its_parent_at_its_birth() -> None:
    own = Path("/proc/self/comm").read_text().strip()
    kernel.set_name("a longer name than fits")
    try:
        pid = kernel.stand_still(0)
    finally:
        kernel.set_name(own)
    try:
        assert Path(f"/proc/{pid}/comm").read_text() == "a longer name t\n"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert Path("/proc/self/comm").read_text().strip() == own
