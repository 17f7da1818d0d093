"""One cgroup for each session, where the machine lets us have them: version 2, or the controllers of version 1.

`find` tries it out by making one. The files' meanings are those of the kernel's Documentation/admin-guide
(cgroup-v2.rst and cgroup-v1/).
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from belljar import kernel
from belljar.keeper import claims
from belljar.keeper.claims import Claim
from belljar.wire.execution import MIB, Limits

NEEDED = ("memory", "pids", "cpu")
_CPU_PERIOD_US = 100_000
_NOTABLE_BYTES = 4 * MIB
_SERVICE = "belljar-service"
_OUTER = "outer"
_TRIES = 20
_SWAP = "memory.swap.max"
_RECLAIM = "memory.reclaim"


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
    """A tree in which all of `NEEDED` work, or what is missing, in words for the operator."""
    reasons = []
    for kind in (_TreeV2, _TreeV1):
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


def _write(path: Path, value: str | int) -> None:
    kernel.write_file(path, str(value))


class _Files:
    """Files of a cgroup that are read again and again: opened once."""

    def __init__(self) -> None:
        self._fds: dict[Path, int] = {}

    def text(self, path: Path) -> str:
        """All of it. Raises FileNotFoundError."""
        fd = self._fds.get(path)
        if fd is None:
            fd = self._fds[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(fd, 65536, 0).decode()

    def value_of(self, path: Path, key: str) -> int:
        """What stands behind `key` in a list of keys and numbers; 0 where it is not there."""
        for line in self.text(path).splitlines():
            name, _, value = line.partition(" ")
            if name == key:
                return int(value)
        return 0

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.popitem()[1])


def _mounts() -> Iterator[tuple[str, Path, Path, set[str]]]:
    """(type, mount point, the cgroup that it shows as its root, controllers or options)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            fields = left.split(" ")
            yield kind, Path(fields[4]), Path(fields[3]), set(options.split(","))


def _own() -> dict[str, str]:
    """Our cgroup by controller; "" for version 2."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            own[controller] = path
    return own


def _below(mount: Path, root: Path, path: str) -> Path:
    relative = os.path.relpath(path, root)
    return mount if relative.startswith("..") else (mount / relative).resolve()


# -- version 1 ---------------------------------------------------------------------------------------------


class _TreeV1:
    label = "version 1"
    has_reclaim = False

    def __init__(self) -> None:
        own = _own()
        parents: dict[str, Path] = {}
        for kind, mount, root, options in _mounts():
            if kind == "cgroup":
                for controller in NEEDED:
                    if controller in options and controller in own:
                        parents[controller] = _below(mount, root, own[controller])
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
        self._paths = {controller: self._claims[parent].path for controller, parent in parents.items()}

    def make(self, name: str, limits: Limits) -> Cgroup:
        paths = {controller: top / name for controller, top in self._paths.items()}
        cgroup = _CgroupV1(paths)
        try:
            for path in set(paths.values()):
                path.mkdir()
            _write(paths["memory"] / "memory.limit_in_bytes", limits.memory_bytes)
            with contextlib.suppress(FileNotFoundError):  # only with swap accounting
                _write(paths["memory"] / "memory.memsw.limit_in_bytes", limits.memory_bytes)
            # Buffers of TCP and UDP are counted apart from all other memory, and not at all before a limit is set,
            # which not every kernel keeps: see `watched_bytes`.
            _write(paths["memory"] / "memory.kmem.tcp.limit_in_bytes", limits.memory_bytes)
            _write(paths["pids"] / "pids.max", limits.pids)
            _write(paths["cpu"] / "cpu.cfs_period_us", _CPU_PERIOD_US)
            _write(paths["cpu"] / "cpu.cfs_quota_us", int(limits.cpus * _CPU_PERIOD_US))
        except OSError:
            cgroup.remove()
            raise
        return cgroup

    def attach_own(self, pid: int) -> None:
        for top in set(self._paths.values()):
            (top / _OUTER).mkdir(exist_ok=True)
            _write(top / _OUTER / "cgroup.procs", pid)

    def close(self) -> None:
        for claim in self._claims.values():
            claim.close()


class _CgroupV1:
    has_reclaim = False

    def __init__(self, paths: dict[str, Path]) -> None:
        self._paths = paths
        self._files = _Files()
        # Where the two controllers are one, as is usual.
        self._has_cpu_counter = (paths["cpu"] / "cpuacct.usage").exists()

    def attach(self, pid: int) -> None:
        for path in set(self._paths.values()):
            _write(path / "cgroup.procs", pid)

    def kill(self) -> None:
        claims.kill(self._paths["pids"])

    def oom_kills(self) -> int:
        return self._files.value_of(self._paths["memory"] / "memory.oom_control", "oom_kill")

    def pids_refused(self) -> int:
        return self._files.value_of(self._paths["pids"] / "pids.events", "max")

    def tasks(self) -> int:
        return int(self._files.text(self._paths["pids"] / "pids.current"))

    def cpu_seconds(self) -> float | None:
        if not self._has_cpu_counter:
            return None
        return int(self._files.text(self._paths["cpu"] / "cpuacct.usage")) / 1e9

    def throttled_seconds(self) -> float:
        return self._files.value_of(self._paths["cpu"] / "cpu.stat", "throttled_time") / 1e9

    def watched_bytes(self) -> int | None:
        memory = self._paths["memory"]
        network = int(self._files.text(memory / "memory.kmem.tcp.usage_in_bytes"))
        if network < _NOTABLE_BYTES:
            return 0
        kernels_own = int((memory / "memory.kmem.usage_in_bytes").read_text())
        return (
            network
            + kernels_own
            + sum(self._files.value_of(memory / "memory.stat", name) for name in ("rss", "shmem"))
        )

    def reset_peak(self) -> None:
        _write(self._paths["memory"] / "memory.max_usage_in_bytes", 0)

    def peak_bytes(self) -> int:
        return int(self._files.text(self._paths["memory"] / "memory.max_usage_in_bytes"))

    def memory_bytes(self) -> int:
        return int(self._files.text(self._paths["memory"] / "memory.usage_in_bytes"))

    def swapping(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()  # at any time: the limit is one for both

    def reclaim(self, piece_bytes: int, goes_on: Callable[[], bool]) -> None:
        raise OSError(errno.EOPNOTSUPP, "version 1 of the cgroups has no memory.reclaim")

    def remove(self) -> None:
        self._files.close()
        for path in set(self._paths.values()):
            claims.remove(path)


# -- version 2 ---------------------------------------------------------------------------------------------


class _TreeV2:
    label = "version 2"

    def __init__(self) -> None:
        mounts = [(mount, root) for kind, mount, root, _ in _mounts() if kind == "cgroup2"]
        if not mounts:
            raise OSError(0, "not mounted")
        mount, root = mounts[0]
        own = _below(mount, root, _own().get("", "/"))
        if own.name == _SERVICE:
            own = own.parent  # a keeper before us has moved us out of it
        # Our own cgroup, if it was delegated to us; else, as root, the top of what we see.
        refused: list[OSError] = []
        for parent in dict.fromkeys((own, mount)):
            try:
                self._claim = self._take(parent, is_own=parent == own)
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

    def make(self, name: str, limits: Limits) -> Cgroup:
        path = self._claim.path / name
        cgroup = _CgroupV2(path, limits.memory_bytes, has_reclaim=self.has_reclaim)
        try:
            path.mkdir()
            # memory.oom.group stays off: a child that needs too much may die alone, as it does in version 1.
            _write(path / "memory.max", limits.memory_bytes)
            with contextlib.suppress(FileNotFoundError):  # only with swap
                _write(path / _SWAP, 0)
            _write(path / "pids.max", limits.pids)
            _write(path / "cpu.max", f"{int(limits.cpus * _CPU_PERIOD_US)} {_CPU_PERIOD_US}")
        except OSError:
            cgroup.remove()
            raise
        return cgroup

    def attach_own(self, pid: int) -> None:
        path = self._claim.path / _OUTER
        path.mkdir(exist_ok=True)
        _write(path / "cgroup.procs", pid)

    def close(self) -> None:
        self._claim.close()


def _enable(parent: Path) -> None:
    """Give the cgroups below all that is needed. Raises OSError, EBUSY where processes are in `parent` itself."""
    _write(parent / "cgroup.subtree_control", " ".join(f"+{name}" for name in NEEDED))


def _move_down(parent: Path) -> None:
    """A cgroup with controllers for others may hold no processes itself: those of this service go one level down."""
    leaf = parent / _SERVICE
    leaf.mkdir(exist_ok=True)
    for pid in claims.pids(parent / "cgroup.procs"):
        with contextlib.suppress(ProcessLookupError):
            _write(leaf / "cgroup.procs", pid)


class _CgroupV2:
    def __init__(self, path: Path, memory_bytes: int, *, has_reclaim: bool) -> None:
        self._path = path
        self._limit_bytes = memory_bytes
        self.has_reclaim = has_reclaim
        self._peak: int | None = None
        self._files = _Files()

    def attach(self, pid: int) -> None:
        _write(self._path / "cgroup.procs", pid)

    def kill(self) -> None:
        claims.kill(self._path)

    def oom_kills(self) -> int:
        return self._files.value_of(self._path / "memory.events", "oom_kill")

    def pids_refused(self) -> int:
        return self._files.value_of(self._path / "pids.events", "max")

    def tasks(self) -> int:
        return int(self._files.text(self._path / "pids.current"))

    def cpu_seconds(self) -> float | None:
        return self._files.value_of(self._path / "cpu.stat", "usage_usec") / 1e6

    def throttled_seconds(self) -> float:
        return self._files.value_of(self._path / "cpu.stat", "throttled_usec") / 1e6

    def watched_bytes(self) -> int | None:
        return None

    def reset_peak(self) -> None:
        # Since Linux 6.12 a write resets the peak for the descriptor that wrote; before, the file refuses writers.
        if self._peak is None:
            with contextlib.suppress(OSError):
                self._peak = os.open(self._path / "memory.peak", os.O_RDWR | os.O_CLOEXEC)
        if self._peak is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._peak, b"0", 0)

    def peak_bytes(self) -> int:
        if self._peak is not None:
            return int(os.pread(self._peak, 64, 0))
        for name in ("memory.peak", "memory.current"):  # the first is there since Linux 5.19
            with contextlib.suppress(FileNotFoundError):
                return int((self._path / name).read_text())
        return 0

    def memory_bytes(self) -> int:
        return int((self._path / "memory.current").read_text())

    @contextlib.contextmanager
    def swapping(self) -> Iterator[None]:
        # And at no other time: what a session writes while it runs has to fit into its memory.
        with contextlib.suppress(FileNotFoundError):  # only with swap
            _write(self._path / _SWAP, self._limit_bytes)
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                _write(self._path / _SWAP, 0)

    def reclaim(self, piece_bytes: int, goes_on: Callable[[], bool]) -> None:
        try:
            while goes_on():
                _write(self._path / _RECLAIM, piece_bytes)
        except OSError as error:
            if error.errno != errno.EAGAIN:  # the kernel has taken all that it could
                raise

    def remove(self) -> None:
        self._files.close()
        claims.remove(self._path)
        if self._peak is not None:
            os.close(self._peak)
            self._peak = None
