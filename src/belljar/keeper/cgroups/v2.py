"""Version 2: one hierarchy, of which a part has to be ours."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from belljar.keeper import claims
from belljar.keeper.cgroups.places import CPU_PERIOD_US, NEEDED, OUTER, Files, below, mounts, own
from belljar.keeper.claims import Claim
from belljar.records import Limits

_SERVICE = "belljar-service"
_TRIES = 20
_SWAP = "memory.swap.max"
_RECLAIM = "memory.reclaim"


class TreeV2:
    label = "version 2"

    def __init__(self) -> None:
        found = [(mount, root) for kind, mount, root, _ in mounts() if kind == "cgroup2"]
        if not found:
            raise OSError(0, "not mounted")
        mount, root = found[0]
        ours = below(mount, root, own().get("", "/"))
        if ours.name == _SERVICE:
            ours = ours.parent  # a keeper before us has moved us out of it
        # Our own cgroup, if it was delegated to us; else, as root, the top of what we see.
        refused: list[OSError] = []
        for parent in dict.fromkeys((ours, mount)):
            try:
                self._claim = self._take(parent, is_own=parent == ours)
                self.has_reclaim = os.access(self._claim.path / _RECLAIM, os.W_OK)
                return
            except OSError as error:
                refused.append(error)
        if any(isinstance(error, PermissionError) for error in refused):
            raise PermissionError(0, "no cgroup is delegated to us; systemd does it with Delegate=yes")
        raise refused[0]

    @staticmethod
    def _take(parent: Path, *, is_own: bool) -> Claim:
        available = (parent / "cgroup.controllers").read_text().split()
        if missing := [name for name in NEEDED if name not in available]:
            raise OSError(0, f"no controller {', '.join(missing)}")
        for _ in range(_TRIES):
            try:
                _enable(parent)
                break
            except OSError as error:
                # Another user's cgroup is not ours to arrange, though root could.
                if error.errno != errno.EBUSY or not is_own or parent.stat().st_uid != os.geteuid():
                    raise
            _move_down(parent)
        else:
            raise OSError(errno.EBUSY, "in our cgroup are processes of another pid namespace")
        claim = Claim(parent)
        try:
            _enable(claim.path)
        except OSError:
            claim.close()
            raise
        return claim

    def make(self, name: str, limits: Limits) -> _CgroupV2:
        cgroup = _CgroupV2(f"{self._claim.path}/{name}", limits.memory_bytes, has_reclaim=self.has_reclaim)
        try:
            cgroup.make(limits)
        except OSError:
            cgroup.remove()
            raise
        return cgroup

    def attach_own(self, pid: int) -> None:
        path = self._claim.path / OUTER
        path.mkdir(exist_ok=True)
        Files(path).write("cgroup.procs", pid)

    def close(self) -> None:
        self._claim.close()


def _enable(parent: Path) -> None:
    """Give the cgroups below all that is needed. Raises OSError, EBUSY where processes are in `parent` itself."""
    Files(parent).write("cgroup.subtree_control", " ".join(f"+{name}" for name in NEEDED))


def _move_down(parent: Path) -> None:
    """A cgroup with controllers for others may hold no processes itself: those of this service go one level down."""
    leaf = parent / _SERVICE
    leaf.mkdir(exist_ok=True)
    for pid in claims.pids(parent / "cgroup.procs"):
        with contextlib.suppress(ProcessLookupError):
            Files(leaf).write("cgroup.procs", pid)


class _CgroupV2:
    def __init__(self, path: str, memory_bytes: int, *, has_reclaim: bool) -> None:
        self._files = Files(path)
        self._limit_bytes = memory_bytes
        self.has_reclaim = has_reclaim

    def make(self, limits: Limits) -> None:
        os.mkdir(self._files.path)
        # memory.oom.group stays off: a child that needs too much may die alone, as it does in version 1.
        self._files.write("memory.max", limits.memory_bytes)
        with contextlib.suppress(FileNotFoundError):  # only with swap
            self._files.write(_SWAP, 0)
        self._files.write("pids.max", limits.pids)
        self._files.write("cpu.max", f"{int(limits.cpus * CPU_PERIOD_US)} {CPU_PERIOD_US}")

    def attach(self, pid: int) -> None:
        self._files.write("cgroup.procs", pid)

    def kill(self) -> None:
        claims.kill(Path(self._files.path))

    def oom_kills(self) -> int:
        return self._files.value_of("memory.events", "oom_kill")

    def pids_refused(self) -> int:
        return self._files.value_of("pids.events", "max")

    def tasks(self) -> int:
        return int(self._files.text("pids.current"))

    def cpu_seconds(self) -> float | None:
        return self._files.value_of("cpu.stat", "usage_usec") / 1e6

    def throttled_seconds(self) -> float:
        return self._files.value_of("cpu.stat", "throttled_usec") / 1e6

    def watched_bytes(self) -> int | None:
        return None

    def reset_peak(self) -> None:
        # Since Linux 6.12 a write resets the peak for the descriptor that wrote; before, the file refuses writers.
        with contextlib.suppress(OSError):
            self._files.reset("memory.peak")

    def peak_bytes(self) -> int:
        for name in ("memory.peak", "memory.current"):  # the first is there since Linux 5.19
            with contextlib.suppress(FileNotFoundError):
                return int(self._files.text(name))
        return 0

    def memory_bytes(self) -> int:
        return int(self._files.text("memory.current"))

    @contextlib.contextmanager
    def swapping(self) -> Iterator[None]:
        # And at no other time: what a session writes while it runs has to fit into its memory.
        with contextlib.suppress(FileNotFoundError):  # only with swap
            self._files.write(_SWAP, self._limit_bytes)
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                self._files.write(_SWAP, 0)

    def reclaim(self, piece_bytes: int, goes_on: Callable[[], bool]) -> None:
        try:
            while goes_on():
                self._files.write(_RECLAIM, piece_bytes)
        except OSError as error:
            if error.errno != errno.EAGAIN:  # the kernel has taken all that it could
                raise

    def remove(self) -> None:
        self._files.close()
        claims.remove(self._files.path)
