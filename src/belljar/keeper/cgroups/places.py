"""Where the cgroup hierarchies are, and the files in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from belljar import kernel
from belljar.errors import SessionLost

NEEDED = ("memory", "pids", "cpu")
CPU_PERIOD_US = 100_000
OUTER = "outer"
"""What no session's cgroup has for a name."""


class Files:
    """The files of one cgroup in one hierarchy. What is read again and again is opened once."""

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        self._fds: dict[str, int] = {}
        self._resettable: set[str] = set()
        self._is_closed = False

    def write(self, name: str, value: str | int) -> None:
        """Raises OSError, FileNotFoundError where there is no such file."""
        kernel.write_file(f"{self.path}/{name}", str(value))

    def text(self, name: str) -> str:
        """All of a file. Raises FileNotFoundError, and SessionLost once these are closed."""
        return os.pread(self._opened(name), 65536, 0).decode()

    def reset(self, name: str) -> None:
        """Have a count begin at 0 again, in a file that is read by `text` as well. Raises as that does, and OSError."""
        if name not in self._resettable:
            if (fd := self._fds.pop(name, None)) is not None:
                os.close(fd)
            self._opened(name, os.O_RDWR)
            self._resettable.add(name)
        os.pwrite(self._opened(name), b"0", 0)

    def _opened(self, name: str, access: int = os.O_RDONLY) -> int:
        if self._is_closed:
            raise SessionLost("the session has ended")
        fd = self._fds.get(name)
        if fd is None:
            fd = self._fds[name] = os.open(f"{self.path}/{name}", access | os.O_CLOEXEC)
        return fd

    def value_of(self, name: str, key: str) -> int:
        """What stands behind `key` in a list of keys and numbers; 0 where it is not there."""
        for line in self.text(name).splitlines():
            found, _, value = line.partition(" ")
            if found == key:
                return int(value)
        return 0

    def close(self) -> None:
        self._is_closed = True
        while self._fds:
            os.close(self._fds.popitem()[1])


def mounts() -> Iterator[tuple[str, Path, Path, set[str]]]:
    """(type, mount point, the cgroup that it shows as its root, controllers or options)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            fields = left.split(" ")
            yield kind, Path(fields[4]), Path(fields[3]), set(options.split(","))


def own() -> dict[str, str]:
    """Our cgroup by controller; "" for version 2."""
    found = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def below(mount: Path, root: Path, path: str) -> Path:
    relative = os.path.relpath(path, root)
    return mount if relative.startswith("..") else (mount / relative).resolve()
