"""Connections in a session's network namespace, and the memory that the kernel has for them, seen from outside."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from pathlib import Path

_IN_USE = re.compile(rb"^TCP6?: inuse (\d+)", re.MULTILINE)
_ENDED = re.compile(rb"^TCP: .* tw (\d+)", re.MULTILINE)
_CONNECTION_BYTES = 8192
"""Of one with nothing in it."""
_ENDED_BYTES = 512
"""Of one that is over, and remembered for a minute."""
_OPEN = ("01", "08")  # ESTABLISHED, CLOSE_WAIT
_LISTENING = "0A"
_KEPT_BYTES = 17 * max(32 * 1024, os.sysconf("SC_PAGE_SIZE"))
"""What one byte that waits in a connection may keep from others. A thread's data goes into pages of 32 KiB that all its
sockets share, and they are free when nothing of them waits any more; a packet has up to 17 pieces of them, and is free
when all has been read. Only the bytes themselves are counted, by cgroups as well."""


def network_bytes(pid: int, *, is_counted: bool, enough_bytes: int) -> int:
    """What TCP and UDP take in a process's network namespace, roughly; 0 when it is gone.

    Where a cgroup `is_counted`, only what it does not have: connections that nobody has accepted yet are the kernel's
    own, with all that was sent by them. Where it is more than `enough_bytes`, nobody looks further: the list may grow
    as fast as it is read.
    """
    total = 0
    for name in ("tcp", "tcp6") if is_counted else ("tcp", "tcp6", "udp", "udp6"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/net/{name}", encoding="ascii") as lines:
            next(lines)
            for line in lines:
                _, _, _, state, queues, _, _, _, _, inode, *_ = line.split()
                sending, _, receiving = queues.partition(":")
                if inode == "0" and state in _OPEN:
                    total += _CONNECTION_BYTES + (_queue_bytes() if int(receiving, 16) else 0)
                elif not is_counted:
                    total += int(sending, 16) + int(receiving, 16)
                if total > enough_bytes:
                    return total
    return total


def kept_bytes(pid: int, *, enough_bytes: int) -> int:
    """How much memory what waits in the connections by TCP of a process's network namespace may keep from others, at
    most, or a little over `enough_bytes`; 0 when it is gone."""
    total = 0
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/net/{name}", encoding="ascii") as lines:
            next(lines)
            for line in lines:
                _, _, _, state, queues, *_ = line.split()
                if state != _LISTENING:
                    total += sum(int(queue, 16) for queue in queues.split(":")) * _KEPT_BYTES
                if total > enough_bytes:
                    return total
    return total


@functools.cache
def _queue_bytes() -> int:
    """Of a connection with something in it that nobody has accepted: as much as a buffer takes that is as large as it
    was made (tcp(7), tcp_rmem), however little is said to be in it, since each byte may lie in a page of its own."""
    return int(Path("/proc/sys/net/ipv4/tcp_rmem").read_text().split()[1])


class Connections:
    """Those by TCP in a process's network namespace, opened once. Raises OSError when that is gone."""

    def __init__(self, pid: int) -> None:
        self._fds: list[int] = []
        try:
            for name in ("sockstat", "sockstat6"):
                self._fds.append(os.open(f"/proc/{pid}/net/{name}", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            self.close()
            raise

    def sizes(self) -> tuple[int, int]:
        """How many bytes of the kernel's own they take at most: open ones, if nobody has accepted any, and ended ones.
        Nothing once it is closed."""
        told = b"".join(os.pread(fd, 4096, 0) for fd in self._fds)
        ended = sum(map(int, _ENDED.findall(told)))
        return sum(map(int, _IN_USE.findall(told))) * _queue_bytes(), ended * _ENDED_BYTES

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())
