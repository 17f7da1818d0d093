"""What the keeper sees of a process from outside, in /proc. A guest has no say in any of it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def pid_of(pidfd: int) -> int:
    """The pid, in our own namespace, of the process that a pidfd stands for; -1 when it is gone."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text(errors="replace").splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    return -1


def status(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status. Raises FileNotFoundError or ProcessLookupError when it is gone."""
    fields = {}
    for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
        name, _, value = line.partition(":")
        fields[name] = value.strip()
    return fields


def unlocked(pid: int, uid: int, gid: int, max_fds: int) -> list[str]:
    """What is not as it has to be before a guest is given code; empty when all is."""
    seen = status(pid)
    wrong = []
    for name, wanted in (("Seccomp", "2"), ("NoNewPrivs", "1"), ("Threads", "1")):
        if seen.get(name) != wanted:
            wrong.append(f"{name} is {seen.get(name)}, not {wanted}")
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if int(seen[name], 16):
            wrong.append(f"{name} is {seen[name]}")
    for name, wanted_id in (("Uid", uid), ("Gid", gid)):
        if set(seen[name].split()) != {str(wanted_id)}:
            wrong.append(f"{name} is {seen[name]}, not {wanted_id}")
    with contextlib.suppress(PermissionError):
        count = len(os.listdir(f"/proc/{pid}/fd"))
        if count > max_fds:
            wrong.append(f"{count} descriptors are open, not {max_fds}")
    return wrong


def tree(*roots: int) -> list[int]:
    """The pids of `roots` and all that descends from them, as far as they are alive."""
    found: list[int] = []
    pending = list(roots)
    while pending:
        pid = pending.pop()
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                pending += map(
                    int, Path(f"/proc/{pid}/task/{task}/children").read_text(errors="replace").split()
                )
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.append(pid)
    return found


def memory_bytes(pid: int) -> int:
    """A process's share of private and shared-memory pages: what several share counts once among them.

    0 when it is gone (Linux 5.14 for the split by kind of page).
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(errors="replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of its children that have ended; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS
