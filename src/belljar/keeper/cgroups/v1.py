"""The controllers of version 1: a cgroup in each hierarchy that has one of them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from belljar.keeper import claims
from belljar.keeper.cgroups.places import CPU_PERIOD_US, NEEDED, OUTER, Files, below, mounts, own
from belljar.keeper.claims import Claim
from belljar.records import MIB, Limits

_NOTABLE_BYTES = 4 * MIB


class TreeV1:
    label = "version 1"
    has_reclaim = False

    def __init__(self) -> None:
        ours = own()
        parents: dict[str, Path] = {}
        for kind, mount, root, options in mounts():
            if kind == "cgroup":
                for controller in NEEDED:
                    if controller in options and controller in ours:
                        parents[controller] = below(mount, root, ours[controller])
        if missing := [name for name in NEEDED if name not in parents]:
            raise OSError(0, f"no controller {', '.join(missing)}")
        self._claims: dict[Path, Claim] = {}
        """By parent: several controllers may share a hierarchy."""
        try:
            for parent in parents.values():
                if parent not in self._claims:
                    self._claims[parent] = Claim(parent)
        except OSError:
            self.close()
            raise
        self._tops = {controller: str(self._claims[parent].path) for controller, parent in parents.items()}
        # Where the two controllers are one, as is usual.
        self._has_cpu_counter = os.path.exists(f"{self._tops['cpu']}/cpuacct.usage")

    def make(self, name: str, limits: Limits) -> _CgroupV1:
        cgroup = _CgroupV1(self._tops, name, has_cpu_counter=self._has_cpu_counter)
        try:
            cgroup.make(limits)
        except OSError:
            cgroup.remove()
            raise
        return cgroup

    def attach_own(self, pid: int) -> None:
        for top in set(self._tops.values()):
            os.makedirs(f"{top}/{OUTER}", exist_ok=True)
            Files(f"{top}/{OUTER}").write("cgroup.procs", pid)

    def close(self) -> None:
        for claim in self._claims.values():
            claim.close()


class _CgroupV1:
    has_reclaim = False

    def __init__(self, tops: dict[str, str], name: str, *, has_cpu_counter: bool) -> None:
        hierarchies = {top: Files(f"{top}/{name}") for top in tops.values()}
        self._all = tuple(hierarchies.values())
        self._memory, self._pids, self._cpu = (hierarchies[tops[controller]] for controller in NEEDED)
        self._has_cpu_counter = has_cpu_counter

    def make(self, limits: Limits) -> None:
        for files in self._all:
            os.mkdir(files.path)
        self._memory.write("memory.limit_in_bytes", limits.memory_bytes)
        with contextlib.suppress(FileNotFoundError):  # only with swap accounting
            self._memory.write("memory.memsw.limit_in_bytes", limits.memory_bytes)
        # Buffers of TCP and UDP are counted apart from all other memory, and not at all before a limit is set,
        # which not every kernel keeps: see `watched_bytes`.
        self._memory.write("memory.kmem.tcp.limit_in_bytes", limits.memory_bytes)
        self._pids.write("pids.max", limits.pids)
        # The period is CPU_PERIOD_US already: the kernel's own for new cgroups (sched-bwc.rst).
        self._cpu.write("cpu.cfs_quota_us", int(limits.cpus * CPU_PERIOD_US))

    def attach(self, pid: int) -> None:
        for files in self._all:
            files.write("cgroup.procs", pid)

    def kill(self) -> None:
        claims.kill(Path(self._pids.path))

    def oom_kills(self) -> int:
        return self._memory.value_of("memory.oom_control", "oom_kill")

    def pids_refused(self) -> int:
        return self._pids.value_of("pids.events", "max")

    def tasks(self) -> int:
        return int(self._pids.text("pids.current"))

    def cpu_seconds(self) -> float | None:
        if not self._has_cpu_counter:
            return None
        return int(self._cpu.text("cpuacct.usage")) / 1e9

    def throttled_seconds(self) -> float:
        return self._cpu.value_of("cpu.stat", "throttled_time") / 1e9

    def watched_bytes(self) -> int | None:
        network = int(self._memory.text("memory.kmem.tcp.usage_in_bytes"))
        if network < _NOTABLE_BYTES:
            return 0
        return (
            network
            + int(self._memory.text("memory.kmem.usage_in_bytes"))
            + sum(self._memory.value_of("memory.stat", name) for name in ("rss", "shmem"))
        )

    def reset_peak(self) -> None:
        self._memory.reset("memory.max_usage_in_bytes")

    def peak_bytes(self) -> int:
        return int(self._memory.text("memory.max_usage_in_bytes"))

    def memory_bytes(self) -> int:
        return int(self._memory.text("memory.usage_in_bytes"))

    def swapping(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()  # at any time: the limit is one for both

    def reclaim(self, piece_bytes: int, goes_on: Callable[[], bool]) -> None:
        raise OSError(errno.EOPNOTSUPP, "version 1 of the cgroups has no memory.reclaim")

    def remove(self) -> None:
        for files in self._all:
            files.close()
        for files in self._all:
            claims.remove(files.path)
