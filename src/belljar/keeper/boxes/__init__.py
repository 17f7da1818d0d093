"""Where sessions live: in boxes of namespaces (`outer`), or, at the level `reduced`, on the machine itself (`bare`)."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from belljar.errors import JailUnavailable
from belljar.keeper.channel import Reply

UID_COUNT = 65536

Fork = Callable[[dict[str, Any], Sequence[int]], Awaitable[Reply]]
"""How a zygote is asked for a guest."""

OnExit = Callable[[dict[str, Any]], None]
"""Told of each guest's end: {pid, status, cpu_seconds}."""


class NoNamespaces(JailUnavailable):
    """The machine refuses what an outer box is made of."""


@dataclass(frozen=True)
class Places:
    """Where a session's directories are, as its guest sees them."""

    work: str
    input: str
    """The working directory, by the name that `$INPUT_DIR` has."""
    output: str
    temporary: str
    runtime: str
    programs: str


@dataclass(frozen=True)
class Started:
    """A fork server that was just exec'd, and waits to be told what to import."""

    sock: socket.socket
    end: Callable[[], None]
    """Make sure that it is no more, once its socket is closed."""


@dataclass(frozen=True)
class Born:
    """A guest that was just forked."""

    number: int
    """Its name in `OnExit`."""
    pidfd: int
    laps: dict[str, float]


@dataclass(frozen=True)
class Use:
    """What a box has of the machine's disk space."""

    disk_bytes: int
    inodes: int
    full: str | None
    """`disk_bytes` or `disk_inodes` where there is no more of it."""


class Box(Protocol):
    """One session's place. `close` lets go of it."""

    laps: dict[str, float]
    places: Places
    confinement: dict[str, Any]
    """How its guests lock themselves in, for `guest.confine`."""

    def furnished(self, guest_pid: int) -> int:
        """Its first guest is locked in. Returns a descriptor of its files, for the caller to close.

        Raises SessionLost.
        """

    def open_temporary(self) -> int:
        """A descriptor of its /tmp, for the caller to close. Raises OSError."""

    async def tell(self, op: str, keep: Sequence[int] = ()) -> None:
        """Signal everything in the box, and return when all have taken notice.

        `op` is `interrupt`, `stop`, `continue`, `kill`, or `sweep`: kill all but the processes `keep` (pids as the
        guest has them), and stop these. Raises SessionLost when nobody is there to do it.
        """

    def processes(self, guest_pid: int) -> list[int]:
        """The pids, on this machine, of what runs in it."""

    def connection_bytes(self) -> tuple[int, int]:
        """What its connections take at most of the kernel's own memory, which no cgroup has: open and ended ones."""

    def network_bytes(self, *, is_counted: bool, enough_bytes: int) -> int:
        """What TCP and UDP take in its own network; where a cgroup `is_counted`, what that has not got of it. No
        more than a little over `enough_bytes`. In a thread."""

    def kept_bytes(self, *, enough_bytes: int) -> int:
        """What of the machine's memory its connections may keep from others beyond that, at most, or a little over
        `enough_bytes`. In a thread."""

    def use(self) -> Use:
        """What its files take. Runs in a thread."""

    def kill(self) -> None:
        """Have everything in it killed, without waiting for that."""

    async def close(self) -> None:
        """Kill the box, and let go of it."""


class Site(Protocol):
    """Where boxes stand. Made by the `start` of its module."""

    has_namespaces: bool
    has_own_uids: bool
    """Another uid for each session, from a range that nobody else has."""
    laps: dict[str, float]
    program: bytes
    """The seccomp filter of its guests."""

    @property
    def is_lost(self) -> bool:
        """Whether it has ended by itself: no box can be made any more."""

    def identity(self, index: int) -> tuple[int, int]:
        """The uid and gid, on this machine, of the guest of session number `index` (1 to 65,535)."""

    async def make_box(self, index: int, disk_bytes: int) -> Box:
        """A box whose guest has the identity `index`. Raises SessionLost when the kernel refuses."""

    async def start_zygote(self) -> Started:
        """Exec a fork server, to be told what it imports. Raises SessionLost when that cannot be done."""

    async def fork_guest(self, fork: Fork, box: Any, packet: dict[str, Any], fds: Sequence[int]) -> Born:
        """Have a zygote's `fork` make a guest in the box, with `fds` = (stdout, stderr, control)."""


def identity(uid_base: int | None, index: int) -> tuple[int, int]:
    """Number `index` of a range of uids; without a range everybody is who we are."""
    if uid_base is None:
        return os.geteuid(), os.getegid()
    return uid_base + index, uid_base + index


def inodes(disk_bytes: int) -> int:
    """How many files and directories go with so much space."""
    return max(1024, min(65536, disk_bytes // 4096))
