"""What the keeper sees of a process from outside, in /proc. A guest has no say in any of it."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from belljar import kernel

NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
_FIRST = 500
"""As if it took half of the machine's memory more than it does."""
_CAP_SYS_PTRACE = 19
_FEW_LINES = 1000
"""Of descriptors, some five for each: a program with a hundred open files has fewer."""
_TICKS = os.sysconf("SC_CLK_TCK")
_FIELD = re.compile(r"^(\w+):[ \t]*(.*?)[ \t]*$", re.MULTILINE)


def _text(path: str) -> str:
    return _all(path).decode("utf-8", "replace")


def _all(path: str) -> bytes:
    """A file of /proc, all of it, without what open() asks besides."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(fd, 65536):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)


def pid_of(pidfd: int) -> int:
    """The pid, in our own namespace, of the process that a pidfd stands for; -1 when it is gone."""
    for line in _text(f"/proc/self/fdinfo/{pidfd}").splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    return -1


def status(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status. Raises FileNotFoundError or ProcessLookupError when it is gone."""
    return dict(_FIELD.findall(_text(f"/proc/{pid}/status")))


def has_uid_range(first: int, count: int) -> bool:
    """Whether we may give processes the uids and gids from `first` on: as root, where they exist in our namespace."""
    return os.geteuid() == 0 and all(
        any(
            int(start) <= first and first + count <= int(start) + int(length)
            for start, _, length in map(str.split, Path(f"/proc/self/{name}").read_text().splitlines())
        )
        for name in ("uid_map", "gid_map")
    )


def may_look_into_others() -> bool:
    """Whether we have the right to see what processes with other uids hold (capabilities(7): CAP_SYS_PTRACE)."""
    return bool(int(status(os.getpid())["CapEff"], 16) >> _CAP_SYS_PTRACE & 1)


def closed_to_others(path: Path) -> Path | None:
    """The first directory on the way to `path`, links followed, that lets no other user through; None when all do."""
    resolved = path.resolve()
    for directory in [*reversed(resolved.parents), *([resolved] if resolved.is_dir() else [])]:
        if not directory.stat().st_mode & 0o001:
            return directory
    return None


def unlocked(
    pid: int, uid: int, gid: int, max_fds: int, *, has_namespaces: bool, has_bounding_set: bool
) -> list[str]:
    """What is not as it has to be before a guest is given code; empty when all is.

    `has_bounding_set`: it was not ours to take from it, and no_new_privs has to do.
    """
    seen = status(pid)
    wrong = []
    for name, wanted in (("Seccomp", "2"), ("NoNewPrivs", "1"), ("Threads", "1")):
        if seen.get(name) != wanted:
            wrong.append(f"{name} is {seen.get(name)}, not {wanted}")
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", *([] if has_bounding_set else ["CapBnd"])):
        if int(seen[name], 16):
            wrong.append(f"{name} is {seen[name]}")
    for name, wanted_id in (("Uid", uid), ("Gid", gid)):
        if set(seen[name].split()) != {str(wanted_id)}:
            wrong.append(f"{name} is {seen[name]}, not {wanted_id}")
    for kind, ours in _own_namespaces().items() if has_namespaces else ():
        if os.readlink(f"/proc/{pid}/ns/{kind}") == ours:
            wrong.append(f"the {kind} namespace is ours")
    with contextlib.suppress(PermissionError):
        count = len(os.listdir(f"/proc/{pid}/fd"))
        if count > max_fds:
            wrong.append(f"{count} descriptors are open, not {max_fds}")
    return wrong


@functools.cache
def _own_namespaces() -> dict[str, str]:
    """Ours, by kind: we stay in those in which we were born."""
    return {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in NAMESPACES}


def parent(pid: int) -> int:
    """Of a process; 0 when it is gone."""
    try:
        return int(status(pid)["PPid"])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def pid_inside(pid: int) -> int:
    """The same process's pid in its own pid namespace. Raises FileNotFoundError or ProcessLookupError."""
    return int(status(pid)["NSpid"].split()[-1])


def threads(pid: int) -> int:
    """How many threads a process has; 0 when it is gone."""
    try:
        return int(status(pid).get("Threads", "0"))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def tasks_of(uid: int) -> int:
    """How many threads on this machine run as `uid`."""
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if entry.stat().st_uid == uid:
                    count += threads(int(entry.name))
    return count


def tree(*roots: int) -> list[int]:
    """The pids of `roots` and all that descends from them, as far as they are alive."""
    found: list[int] = []
    pending = list(roots)
    while pending:
        pid = pending.pop()
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                pending += map(int, _text(f"/proc/{pid}/task/{task}/children").split())
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.append(pid)
    return found


def memory_bytes(pid: int) -> int:
    """A process's share of private and shared-memory pages, what several share counts once; and its page tables. What
    was put away into swap is its own as well: else a session could fill that, a little more each time that it idles.

    0 when it is gone (Linux 5.14 for the split by kind of page). One that is hidden has all pages that are in it, which
    everybody may know.
    """
    shares = _of_a_live_thread(pid, "smaps_rollup")
    pages = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:") if shares else ("RssAnon:", "RssShmem:", "VmSwap:")
    counted = (*pages, "VmPTE:")  # the last is what the kernel needs to map the others
    lines = shares + _of_a_live_thread(pid, "status")
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(counted))


def is_hidden(pid: int) -> bool:
    """Whether a process with our uid keeps us from looking into it, as one does that runs a program which it may not
    read (prctl(2), PR_SET_DUMPABLE). Which files and locks it holds, nobody can say."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            try:
                os.close(os.open(f"/proc/{pid}/task/{thread}/smaps_rollup", os.O_RDONLY | os.O_CLOEXEC))
            except PermissionError:
                return True
            except OSError:
                continue  # it has ended, while others go on
            return False
    return False


def resident_bytes(pid: int) -> int:
    """What a process has in memory, shared or not; 0 when it is gone."""
    for line in _of_a_live_thread(pid, "smaps_rollup"):
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    return 0


def mappings(pid: int, *, with_anonymous: bool) -> list[tuple[int, int]]:
    """Where a process's memory begins and ends, piece by piece; those of files, and all others only where asked for."""
    found = []
    for line in _of_a_live_thread(pid, "maps"):
        place, _, _, _, inode, *_ = line.split(None, 5)
        if with_anonymous or inode != "0":
            start, _, end = place.partition("-")
            found.append((int(start, 16), int(end, 16)))
    return found


def has_swap() -> bool:
    """Whether the machine has room to put memory away."""
    return _of_memory(b"SwapFree") > 0


_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_EXPLAINED = re.compile(
    rb"\n(?:MemFree|Buffers|Cached|SwapCached|AnonPages|Slab|PageTables|SecPageTables|Percpu|VmallocUsed|"
    rb"Balloon|Hugetlb): +(\d+)"
)
_PAGES = re.compile(rb" (?:count:|nr_zspages) +(\d+)")
_BUFFERS = re.compile(rb" mem (\d+)")


@functools.cache
def no_zone_counts() -> str:
    """Why nobody tells how many pages are ready for one processor, or compressed; empty where it is told."""
    try:
        _all("/proc/zoneinfo")
    except OSError as error:
        return f"/proc/zoneinfo: {error.strerror}"
    return ""


def unexplained_bytes() -> int:
    """What is not free of the machine's memory, and is nobody's by any count of the kernel's. It is about the same all
    the time, but for what bytes in connections keep from others, and for drivers. 0 where the pages that are ready for
    one processor cannot be told from it: see `no_zone_counts`."""
    if no_zone_counts():
        return 0
    explained = sum(map(int, _EXPLAINED.findall(_memory()))) * 1024
    # Free too, and ready for one processor; compressed (zram); and buffers of sockets, as far as they are counted.
    pages = _PAGES.findall(_all("/proc/zoneinfo")) + _BUFFERS.findall(_all("/proc/net/sockstat"))
    return machine_bytes() - explained - sum(map(int, pages)) * _PAGE_BYTES


def _of_a_live_thread(pid: int, name: str) -> list[str]:
    """The lines of a file of a process that its first thread cannot answer for once that has ended, while others go on.

    Of what ends a line for `str.splitlines` the kernel escapes the newline alone: all else may stand in a name that the
    process has given itself, or a file.
    """
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in [str(pid), *os.listdir(f"/proc/{pid}/task")]:
            with contextlib.suppress(OSError):
                if text := _text(f"/proc/{pid}/task/{thread}/{name}"):
                    return text.removesuffix("\n").split("\n")
    return []


@functools.cache
def machine_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES


def offer_first(pid: int) -> None:
    """Have the kernel choose a process and its children before others where the machine has no memory left (proc(5),
    oom_score_adj): a session ends, and no server of somebody else's. In /proc of one that was just exec'd it may be
    raised, and later perhaps not.
    """
    path = Path(f"/proc/{pid}/oom_score_adj")
    with contextlib.suppress(OSError):
        path.write_text(str(max(int(path.read_text()), _FIRST)))


def available_share() -> float:
    """How much of the machine's memory is there for the taking, from 0 to 1."""
    return _of_memory(b"MemAvailable") / machine_bytes()


@functools.cache
def are_cores_piped() -> bool:
    """Whether the machine starts a program of its own, as root, for what crashes (core(5)); as it was at first."""
    return Path("/proc/sys/kernel/core_pattern").read_bytes().startswith(b"|")


def unreclaimable_bytes() -> int:
    """What the kernel holds of the machine's memory for objects of its own, and cannot give back."""
    return _of_memory(b"SUnreclaim")


def _of_memory(name: bytes) -> int:
    """One of the kernel's counts of the machine's memory, in bytes; none of them is the first."""
    return int(_memory().partition(b"\n%b:" % name)[2].split(None, 1)[0]) * 1024


def _memory() -> bytes:
    """All of them."""
    return os.pread(_meminfo(), 65536, 0)


@functools.cache
def _meminfo() -> int:
    """It is read after each run."""
    return os.open("/proc/meminfo", os.O_RDONLY | os.O_CLOEXEC)


def record_locks(processes: Iterable[int], most: int, seconds: float) -> int:
    """How many locks on files they hold, by their descriptors: to list /proc/locks would stop all who lock.

    `most` + 1 where there are more, and where it takes more than `seconds` of processor time to find out. Where little
    was seen meanwhile, the time is not theirs: a virtual machine that its host halts takes that for processor time.
    """
    total, read, until = 0, 0, time.thread_time() + seconds
    for pid in processes:
        seen: set[bytes] = set()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            for thread in with_own_descriptors(pid):
                directory = f"/proc/{pid}/task/{thread}/fdinfo"
                with contextlib.suppress(OSError):
                    for name in os.listdir(directory):
                        read += 1
                        with contextlib.suppress(OSError):
                            lines = Path(f"{directory}/{name}").read_bytes().splitlines()
                            seen.update(
                                line.partition(b": ")[2] for line in lines if line.startswith(b"lock:\t")
                            )
                            read += len(lines)
                        if total + len(seen) > most or (read > _FEW_LINES and time.thread_time() > until):
                            return most + 1
        total += len(seen)
    return total


def with_own_descriptors(pid: int) -> list[int]:
    """Threads of a process, one for each table of descriptors: the first may have ended, and one may have its own."""
    found: list[int] = []
    for name in os.listdir(f"/proc/{pid}/task"):
        thread = int(name)
        if not any(kernel.share_descriptors(thread, other) for other in found):
            found.append(thread)
    return found


def deleted_files(pid: int, device: int) -> dict[int, int]:
    """The bytes on disk, by inode, of files on `device` that a process has open and nobody can find any more."""
    found = {}
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in with_own_descriptors(pid):
            directory = f"/proc/{pid}/task/{thread}/fd"
            with contextlib.suppress(OSError):
                for name in os.listdir(directory):
                    with contextlib.suppress(OSError):
                        status = os.stat(f"{directory}/{name}")
                        if status.st_nlink == 0 and status.st_dev == device:
                            found[status.st_ino] = status.st_blocks * 512
    return found


def hears(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal, and its first thread does not keep it waiting."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            lines = dict(line.split(b":", 1) for line in file if line.startswith((b"SigCgt:", b"SigBlk:")))
    except OSError:
        return False  # it is gone
    caught, blocked = (int(lines.get(name, b"0"), 16) for name in (b"SigCgt", b"SigBlk"))
    return bool((caught & ~blocked) >> (number - 1) & 1)


class Stat:
    """/proc/PID/stat of a process, opened once; it says nothing of another that gets the pid."""

    def __init__(self, pid: int) -> None:
        self._fd = -1
        with contextlib.suppress(FileNotFoundError):
            self._fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)

    def _fields(self) -> list[bytes]:
        """Those behind the name; none when the process is gone."""
        if self._fd >= 0:
            with contextlib.suppress(ProcessLookupError):
                return os.pread(self._fd, 4096, 0).rpartition(b") ")[2].split()
        return []

    def is_stopped(self) -> bool:
        """Whether a process of one thread has been stopped by a signal."""
        return self._fields()[:1] == [b"T"]

    def cpu_seconds(self) -> float:
        """CPU time of it and of its children that have ended; 0 when it is gone."""
        return sum(map(int, self._fields()[11:15])) / _TICKS

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of its children that have ended; 0 when it is gone."""
    stat = Stat(pid)
    try:
        return stat.cpu_seconds()
    finally:
        stat.close()
