"""One cgroup for each session, where the machine lets us have them: version 2, or the controllers of version 1.

`find` tries it out by making one. The files' meanings are those of the kernel's Documentation/admin-guide
(cgroup-v2.rst and cgroup-v1/).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from belljar import kernel
from belljar.wire.execution import Limits

_CPU_PERIOD_US = 100_000
NEEDED = ("memory", "pids", "cpu")


class Cgroup(Protocol):
    """What one session may use, and what it has used."""

    def attach(self, pid: int) -> None:
        """Move a process, by its pid in our namespace, into the cgroup."""

    def oom_kills(self) -> int:
        """How often the kernel has killed a process of the session for its memory limit."""

    def reset_peak(self) -> None:
        """Begin a new measurement of the peak."""

    def peak_bytes(self) -> int:
        """The highest use of memory since `reset_peak`."""

    def remove(self) -> None:
        """Delete the cgroup; its processes must be gone."""


class Tree(Protocol):
    """Where sessions' cgroups are made."""

    def make(self, name: str, limits: Limits) -> Cgroup:
        """A cgroup with these limits. Raises OSError."""

    def close(self) -> None:
        """Delete what is ours, all sessions being gone."""


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
            tree.make("probe", Limits()).remove()
        except OSError as error:
            reasons.append(f"{kind.label}: {error.strerror or error}")
            tree.close()
            continue
        return tree, []
    return None, [f"a cgroup for each session ({'; '.join(reasons)})"]


_PREFIX = "belljar-"


def _own_name() -> str:
    return f"{_PREFIX}{os.getpid()}"


def _remove_left_over(parent: Path) -> None:
    """Delete the cgroups of keepers that were killed: their processes died with them."""
    for base in parent.glob(f"{_PREFIX}*"):
        pid = base.name.removeprefix(_PREFIX)
        # Our own number can only be there from an earlier life of it.
        if pid.isdigit() and (int(pid) == os.getpid() or not Path("/proc", pid).exists()):
            with contextlib.suppress(OSError):
                for path in (*filter(Path.is_dir, base.iterdir()), base):
                    path.rmdir()


def _write(path: Path, value: str | int) -> None:
    kernel.write_file(path, str(value))


def _value_of(path: Path, key: str) -> int:
    for line in path.read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return 0


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


class _TreeV1:
    label = "version 1"

    def __init__(self) -> None:
        own = _own()
        self._bases: dict[str, Path] = {}
        for kind, mount, root, options in _mounts():
            if kind == "cgroup":
                for controller in NEEDED:
                    if controller in options and controller in own:
                        self._bases[controller] = _below(mount, root, own[controller]) / _own_name()
        if missing := [name for name in NEEDED if name not in self._bases]:
            raise OSError(0, f"no controller {', '.join(missing)}")
        try:
            for base in set(self._bases.values()):
                _remove_left_over(base.parent)
                base.mkdir()
        except OSError:
            self.close()
            raise

    def make(self, name: str, limits: Limits) -> Cgroup:
        paths = {controller: base / name for controller, base in self._bases.items()}
        cgroup = _CgroupV1(paths)
        try:
            for path in set(paths.values()):
                path.mkdir()
            _write(paths["memory"] / "memory.limit_in_bytes", limits.memory_bytes)
            with contextlib.suppress(FileNotFoundError):  # only with swap accounting
                _write(paths["memory"] / "memory.memsw.limit_in_bytes", limits.memory_bytes)
            _write(paths["pids"] / "pids.max", limits.pids)
            _write(paths["cpu"] / "cpu.cfs_period_us", _CPU_PERIOD_US)
            _write(paths["cpu"] / "cpu.cfs_quota_us", int(limits.cpus * _CPU_PERIOD_US))
        except OSError:
            cgroup.remove()
            raise
        return cgroup

    def close(self) -> None:
        for base in set(self._bases.values()):
            with contextlib.suppress(OSError):
                base.rmdir()


class _CgroupV1:
    def __init__(self, paths: dict[str, Path]) -> None:
        self._paths = paths

    def attach(self, pid: int) -> None:
        for path in set(self._paths.values()):
            _write(path / "cgroup.procs", pid)

    def oom_kills(self) -> int:
        return _value_of(self._paths["memory"] / "memory.oom_control", "oom_kill")

    def reset_peak(self) -> None:
        _write(self._paths["memory"] / "memory.max_usage_in_bytes", 0)

    def peak_bytes(self) -> int:
        return int((self._paths["memory"] / "memory.max_usage_in_bytes").read_text())

    def remove(self) -> None:
        for path in set(self._paths.values()):
            with contextlib.suppress(FileNotFoundError):
                path.rmdir()


class _TreeV2:
    label = "version 2"

    def __init__(self) -> None:
        mounts = [(mount, root) for kind, mount, root, _ in _mounts() if kind == "cgroup2"]
        if not mounts:
            raise OSError(0, "not mounted")
        mount, root = mounts[0]
        own = _below(mount, root, _own().get("", "/"))
        error = OSError(0, "no cgroup of our own; systemd gives one with Delegate=yes")
        # Our own cgroup, if it was delegated to us; else, as root, the top of what we see.
        for parent in dict.fromkeys((own, mount)):
            try:
                self._base = self._claim(parent, is_own=parent == own)
                return
            except OSError as refused:
                error = refused
        raise error

    @staticmethod
    def _claim(parent: Path, *, is_own: bool) -> Path:
        available = (parent / "cgroup.controllers").read_text().split()
        if missing := [name for name in NEEDED if name not in available]:
            raise OSError(0, f"no controller {', '.join(missing)} in {parent}")
        enable = " ".join(f"+{name}" for name in NEEDED)
        try:
            _write(parent / "cgroup.subtree_control", enable)
        except OSError:
            if not is_own or parent.stat().st_uid != os.geteuid():
                raise
            # A cgroup with controllers may hold no processes itself: those of this service go one level down.
            leaf = parent / "belljar-service"
            leaf.mkdir(exist_ok=True)
            for pid in (parent / "cgroup.procs").read_text().split():
                _write(leaf / "cgroup.procs", pid)
            _write(parent / "cgroup.subtree_control", enable)
        _remove_left_over(parent)
        base = parent / _own_name()
        base.mkdir()
        _write(base / "cgroup.subtree_control", enable)
        return base

    def make(self, name: str, limits: Limits) -> Cgroup:
        path = self._base / name
        cgroup = _CgroupV2(path)
        try:
            path.mkdir()
            _write(path / "memory.max", limits.memory_bytes)
            with contextlib.suppress(FileNotFoundError):
                _write(path / "memory.swap.max", 0)
            _write(path / "pids.max", limits.pids)
            _write(path / "cpu.max", f"{int(limits.cpus * _CPU_PERIOD_US)} {_CPU_PERIOD_US}")
        except OSError:
            cgroup.remove()
            raise
        return cgroup

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._base.rmdir()


class _CgroupV2:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._peak: int | None = None

    def attach(self, pid: int) -> None:
        _write(self._path / "cgroup.procs", pid)

    def oom_kills(self) -> int:
        return _value_of(self._path / "memory.events", "oom_kill")

    def reset_peak(self) -> None:
        # Since Linux 6.12 a write resets the peak for the descriptor that wrote; before, it is the session's.
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

    def remove(self) -> None:
        if self._peak is not None:
            os.close(self._peak)
            self._peak = None
        with contextlib.suppress(FileNotFoundError):
            self._path.rmdir()
