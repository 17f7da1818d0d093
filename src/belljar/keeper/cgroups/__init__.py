"""One cgroup for each session, where the machine lets us have them: version 2, or the controllers of version 1.

`find` tries it out by making one. The files' meanings are those of the kernel's Documentation/admin-guide
(cgroup-v2.rst and cgroup-v1/).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from belljar.keeper.cgroups.v1 import TreeV1
from belljar.keeper.cgroups.v2 import TreeV2
from belljar.records import Limits


class Cgroup(Protocol):
    """What one session may use, and what it has used."""

    def attach(self, pid: int) -> None:
        """Move a process, by its pid in our namespace, into the cgroup."""

    def kill(self) -> None:
        """Send SIGKILL to everything in the cgroup, whatever namespaces it is in."""

    def oom_kills(self) -> int:
        """How often the kernel has killed a process of the session for its memory limit."""

    def pids_refused(self) -> int:
        """How often the kernel has refused the session a process or thread for its limit of pids."""

    def tasks(self) -> int:
        """How many processes and threads are in it, by the kernel's own count: dead ones too, until they are reaped."""

    def cpu_seconds(self) -> float | None:
        """Processor time that the session has taken; None where this is not counted."""

    def throttled_seconds(self) -> float:
        """How long the session was kept from running for its cpu limit, added up over all processors."""

    def watched_bytes(self) -> int | None:
        """All that is held, with the buffers of TCP and UDP, where the kernel's limit is not kept for those.

        None where it is. 0 while there are few.
        """

    def reset_peak(self) -> None:
        """Begin a new measurement of the peak."""

    def peak_bytes(self) -> int:
        """The highest use of memory since `reset_peak`; before Linux 6.12 in version 2, since the cgroup was made."""

    has_reclaim: bool
    """Whether memory can be given back by `reclaim`."""

    def memory_bytes(self) -> int:
        """What it holds now."""

    def swapping(self) -> AbstractContextManager[None]:
        """A block in which its memory may go to swap."""

    def reclaim(self, piece_bytes: int, goes_on: Callable[[], bool]) -> None:
        """Have the kernel take what it can, piece by piece for as long as `goes_on`. Raises OSError."""

    def remove(self) -> None:
        """Delete the cgroup. Raises OSError while processes are in it."""


class Tree(Protocol):
    """Where sessions' cgroups are made."""

    has_reclaim: bool
    """Whether memory of its cgroups can be given back."""

    def make(self, name: str, limits: Limits) -> Cgroup:
        """A cgroup with these limits. Raises OSError."""

    def attach_own(self, pid: int) -> None:
        """Move the outer box's first process into a cgroup of ours without limits, and with it all that it will start:
        what guests share is then charged there, and ends with `close`. Raises OSError."""

    def close(self) -> None:
        """Kill what is left in cgroups of ours, and delete them."""


def find() -> tuple[Tree | None, list[str]]:
    """A tree in which memory, pids and cpu can be limited, or what is missing, in words for the operator."""
    reasons = []
    kinds: tuple[type[TreeV2] | type[TreeV1], ...] = (TreeV2, TreeV1)
    for kind in kinds:
        try:
            tree = kind()
        except OSError as error:
            reasons.append(f"{kind.label}: {error.strerror or error}")
            continue
        try:
            _try_out(tree)
        except OSError as error:
            reasons.append(f"{kind.label}: {error.strerror or error}")
            tree.close()
            continue
        return tree, []
    return None, [f"a cgroup for each session ({'; '.join(reasons)})"]


def _try_out(tree: Tree) -> None:
    """Make a cgroup and put a process into it: a place that allows the first need not allow the second."""
    cgroup = tree.make("probe", Limits())
    command = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        cgroup.attach(process.pid)
    cgroup.remove()
