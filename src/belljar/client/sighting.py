"""Which processes below a keeper belong to one session, seen from outside and without a word from anybody inside."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_WARDEN = "warden"


@dataclass(frozen=True)
class Process:
    """A process: its number alone may be another's in the next moment."""

    pid: int
    began: str
    """In ticks since the machine started (proc(5), field 22 of stat)."""
    called: str = field(compare=False)
    """Its name and its state, as `guest (S)`."""


class Sighting:
    """The processes of the session that is made between `__enter__` and `find`. A context manager.

    They are known by the pid namespace of their box. At the level `reduced` there is none, and they are what descends
    from the session's warden. Nobody else may make a session in between.
    """

    def __init__(self, keeper_pid: int) -> None:
        self._keeper_pid = keeper_pid
        self._stack = contextlib.ExitStack()
        self._namespaces: set[int] = set()
        self._wardens: set[Process] = set()

    def __enter__(self) -> Sighting:
        # Held open: the kernel gives the number of a namespace that is gone to the next one.
        self._known = self._hold(_below(self._keeper_pid))
        self._known_wardens = set(self._find_wardens())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def find(self) -> bool:
        """Whether the session's processes are there; from then on they are known."""
        self._namespaces = self._hold(_below(self._keeper_pid)) - self._known
        if not self._namespaces:
            self._wardens = set(self._find_wardens()) - self._known_wardens
        return bool(self._namespaces or self._wardens)

    def left(self) -> list[str]:
        """The session's processes, each by its name and its state."""
        alive = [warden.pid for warden in self._wardens if _process(warden.pid) == warden]
        descending = [pid for warden in alive for pid in (warden, *_below(warden))]
        inside = [pid for pid in _below(self._keeper_pid) if _namespace(pid) in self._namespaces]
        return [seen.called for pid in sorted({*descending, *inside}) if (seen := _process(pid)) is not None]

    def _hold(self, pids: Iterator[int]) -> set[int]:
        numbers = set()
        for pid in pids:
            if (fd := _namespace_fd(pid)) is not None:
                number = os.fstat(fd).st_ino
                if number in numbers:
                    os.close(fd)
                else:
                    self._stack.callback(os.close, fd)
                    numbers.add(number)
        return numbers

    def _find_wardens(self) -> Iterator[Process]:
        for pid in _below(self._keeper_pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                process = _process(pid)
                if process is not None and Path(f"/proc/{pid}/comm").read_text().strip() == _WARDEN:
                    yield process


def _namespace_fd(pid: int) -> int | None:
    """The process's pid namespace, open; None when all of it has ended.

    By any of its threads: of one that has ended only the machine's root may ask, and the first may be such a one.
    """
    try:
        for tid in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(PermissionError, FileNotFoundError, ProcessLookupError):
                return os.open(f"/proc/{pid}/task/{tid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None


def _namespace(pid: int) -> int:
    """The number of the process's pid namespace; 0 when all of it has ended."""
    if (fd := _namespace_fd(pid)) is None:
        return 0
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


def _process(pid: int) -> Process | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, _, rest = stat.partition("(")[2].rpartition(") ")
    fields = rest.split()
    return Process(pid, fields[19], f"{name} ({fields[0]})")


def _below(pid: int) -> Iterator[int]:
    """Every process that descends from this one."""
    pending = _children(pid)
    while pending:
        child = pending.pop()
        yield child
        pending += _children(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        return []
    return found
