"""A keeper's directories in the cgroup hierarchies: held by a lock, and deleted with all that is in them.

The lock is the kernel's to release, however a keeper ends. So the next one knows what is left over, also where pids
say nothing because the other keeper lived in another pid namespace, and never takes what a live one is making.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import signal
import time
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from belljar import kernel
from belljar.keeper.journal import log

CLOSE_LOOKS = 500
"""While the kernel takes killed processes apart, before it lets go of their cgroup: for five seconds. They are not
counted by a clock, which goes on where a virtual machine is halted."""
_LEFT_OVER_LOOKS = 300
"""The same while a keeper starts, for all that others have left: it can also go later."""
_LOOK_SECONDS = 0.01
"""From one to the next. Version 1 tells nobody when a cgroup has become empty."""
_NAME = re.compile(r"belljar-[0-9a-f]{12}")
_TRIES = 20


class Claim:
    """A directory of ours in one hierarchy, locked; raises OSError where `parent` allows none."""

    def __init__(self, parent: Path) -> None:
        _remove_left_over(parent)
        for _ in range(_TRIES):
            self.path = parent / f"belljar-{secrets.token_hex(6)}"
            self.path.mkdir()
            # Between the two, another keeper that is starting may have taken it for one that is left over.
            lock = _lock(self.path)
            if lock is not None:
                self._lock = lock
                return
        raise OSError(errno.EBUSY, "somebody else keeps taking what we make", str(parent))

    def close(self) -> None:
        """Kill what is left in the directory, and delete it; returns when it has gone, or after CLOSE_LOOKS."""
        try:
            for _ in range(CLOSE_LOOKS):
                if _is_removed(self.path):
                    return
                time.sleep(_LOOK_SECONDS)
            raise TimeoutError(f"the kernel does not let go of {self.path}")
        except OSError as error:
            log("the end of a directory of cgroups, which the next keeper will delete", error)
        finally:
            os.close(self._lock)


def _lock(path: Path) -> int | None:
    """A descriptor that holds the directory until it is closed; None where it is another's, or has gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with contextlib.suppress(BlockingIOError, FileNotFoundError):
        flock(fd, LOCK_EX | LOCK_NB)
        # A lock on a directory that was deleted before we got it holds nobody off.
        if os.path.samestat(os.fstat(fd), path.stat()):
            return fd
    os.close(fd)
    return None


def _remove_left_over(parent: Path) -> None:
    """Delete the directories of keepers that were killed. What does not go in time is left to the next keeper."""
    with contextlib.ExitStack() as locks:
        left_over = []
        for path in parent.iterdir():
            with contextlib.suppress(OSError):  # another user's
                if _NAME.fullmatch(path.name) and (lock := _lock(path)) is not None:
                    locks.callback(os.close, lock)
                    left_over.append(path)
        for _ in range(_LEFT_OVER_LOOKS):
            left_over = [path for path in left_over if _goes_on(path)]
            if not left_over:
                return
            time.sleep(_LOOK_SECONDS)


def _goes_on(left_over: Path) -> bool:
    """Whether one that is left over has to be tried again; one that cannot be deleted at all keeps nobody waiting."""
    with contextlib.suppress(OSError):
        return not _is_removed(left_over)
    return False


def _is_removed(top: Path) -> bool:
    """Kill all processes below and delete it; False while the kernel still takes one of them apart.

    Raises OSError where it cannot be deleted at all.
    """
    try:
        for path in (*filter(Path.is_dir, top.iterdir()), top):
            kill(path)
            remove(path)
    except FileNotFoundError:
        return True
    except OSError as error:
        # ENODEV: the files of a cgroup that is just going.
        if error.errno not in (errno.EBUSY, errno.ENODEV):
            raise
        return False
    return True


def remove(path: Path | str) -> None:
    """Delete a cgroup, if it is there. Raises OSError, EBUSY while processes are in it."""
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path)


def kill(path: Path) -> None:
    """Kill everything in a cgroup: in one step where the kernel can (version 2, Linux 5.14)."""
    try:
        kernel.write_file(path / "cgroup.kill", "1")
    except FileNotFoundError:
        for _ in range(_TRIES):  # what was forked meanwhile is in the next list
            if not _kill_listed(path / "cgroup.procs"):
                return


def _kill_listed(procs: Path) -> int:
    """Kill the processes that are listed, and return how many."""
    held: dict[int, int] = {}
    with contextlib.ExitStack() as stack:
        for pid in pids(procs):
            with contextlib.suppress(ProcessLookupError):
                held[pid] = os.pidfd_open(pid)
                stack.callback(os.close, held[pid])
        # A pid that went to a stranger since it was read is not listed again.
        for pid in pids(procs) & held.keys():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(held[pid], signal.SIGKILL)
    return len(held)


def pids(procs: Path) -> set[int]:
    """The processes of a cgroup.procs, as far as our pid namespace has a number for them."""
    try:
        return set(map(int, procs.read_text().split())) - {0}
    except FileNotFoundError:
        return set()
