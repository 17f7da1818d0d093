"""The system calls that Python 3.11 lacks, by ctypes. Standard library only: every process runs this file.

Each function is one call: it returns what the kernel returns and raises OSError with the kernel's errno.
Numbers and constants are those of the kernel's user-space headers (include/uapi).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import mmap
import os
import platform
import signal
import socket
import stat
import struct
from typing import Any, ClassVar

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
# A pointer's type takes whole numbers of 64 bits, and bytes and buffers by their address.
libc.syscall.argtypes = [ctypes.c_long, *[ctypes.c_void_p] * 6]
libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
_prctl_with_text = libc["prctl"]
_prctl_with_text.argtypes = [ctypes.c_int, ctypes.c_char_p, *[ctypes.c_ulong] * 3]

# Calls from Linux 5.1 on have the same number on all architectures; the older ones are listed for each.
_NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {
        "pivot_root": 155,
        "capset": 126,
        "seccomp": 317,
        "setfsuid": 122,
        "kcmp": 312,
        "setfsgid": 123,
    },
    "aarch64": {
        "pivot_root": 41,
        "capset": 91,
        "seccomp": 277,
        "setfsuid": 151,
        "kcmp": 272,
        "setfsgid": 152,
    },
}
_EVERYWHERE = {
    "open_tree": 428,
    "move_mount": 429,
    "close_range": 436,
    "openat2": 437,
    "process_madvise": 440,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}
_NUMBER = {**_NUMBERS.get(platform.machine(), {}), **_EVERYWHERE}
_NOTHING = (0, 0, 0, 0, 0, 0)

_CLONE_VM = 0x00000100
_CLONE_FILES = 0x00000400
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
HELD_BY_PID1 = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWPID
"""The namespaces of a box that its pid 1 is born into, and others join: each guest makes its mount namespace itself."""
NAMESPACES = HELD_BY_PID1 | CLONE_NEWNS

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

OPEN_TREE_CLONE = 1
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_FDCWD = -100
MOVE_MOUNT_F_EMPTY_PATH = 4
MOUNT_ATTR_RDONLY = 1
MOUNT_ATTR_NOSUID = 2
MOUNT_ATTR_NODEV = 4

STACK_SIGNAL = signal.SIGRTMIN + 16
"""To an interpreter of ours: write where you are. One that nothing else uses; programs that were exec'd end by it."""
LARGEST_SIGNAL = signal.SIGRTMIN + 17
"""The same: say what takes most of the memory."""

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

RESOLVE_NO_XDEV = 1
RESOLVE_NO_MAGICLINKS = 2
RESOLVE_NO_SYMLINKS = 4
RESOLVE_BENEATH = 8

SECCOMP_SET_MODE_FILTER = 1
MADV_PAGEOUT = 21
MADV_COLLAPSE = 25
HUGE_PAGE = 2 * 1024 * 1024
M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 4 * 1024 * 1024

_STACK_BYTES = 65536


def _raise(name: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{name}: {os.strerror(number)}")


def _checked(name: str, result: int) -> int:
    if result < 0:
        _raise(name)
    return result


def syscall(name: str, *arguments: Any) -> int:
    """One system call by name. Integers are passed as 64 bits; buffers by address."""
    return _checked(name, libc.syscall(_NUMBER[name], *arguments, *_NOTHING[len(arguments) :]))


def unshare(flags: int) -> None:
    """unshare(2)."""
    _checked("unshare", libc.unshare(ctypes.c_int(flags)))


def setns(fd: int, flags: int) -> None:
    """setns(2); `fd` is a namespace or, since Linux 5.8, a pidfd."""
    _checked("setns", libc.setns(ctypes.c_int(fd), ctypes.c_int(flags)))


def stand_still(flags: int) -> int:
    """A new process that shares our memory and descriptors and waits in pause(2) until it is killed. Returns its pid.

    It is for the first process of a box, which has to be born inside its namespaces and has nothing to do: it costs a
    tenth of a fork, which would copy page tables, and then the pages that both write to.
    """
    end = ctypes.addressof(_stack()) + _STACK_BYTES - 64
    pause = ctypes.cast(libc.pause, ctypes.c_void_p)
    flags |= _CLONE_VM | _CLONE_FILES | signal.SIGCHLD
    return _checked("clone", libc.clone(pause, ctypes.c_void_p(end), ctypes.c_int(flags), None))


@functools.cache
def _stack() -> Any:
    """A stack for all who stand still: each has the same on it, its way into pause(2)."""
    return (ctypes.c_char * _STACK_BYTES).from_buffer(mmap.mmap(-1, _STACK_BYTES))


def fork_into(pid_namespace: int, own_pid_namespace: int) -> int:
    """fork(2), with the child in another pid namespace; both are descriptors as setns(2) takes them."""
    setns(pid_namespace, CLONE_NEWPID)  # which changes where children are born, and nothing for the caller
    try:
        pid = os.fork()
    except OSError:
        setns(own_pid_namespace, CLONE_NEWPID)
        raise
    if pid:
        setns(own_pid_namespace, CLONE_NEWPID)
    return pid


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    result = libc.mount(
        source.encode(),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode(),
    )
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind or 'bind'}: {os.strerror(number)}", target)


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _checked(f"umount {target}", libc.umount2(os.fsencode(target), ctypes.c_int(flags)))


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)."""
    syscall("pivot_root", os.fsencode(new), os.fsencode(old))


def open_tree(path: str) -> int:
    """A descriptor of a detached copy of the mounts at `path` (Linux 5.2)."""
    flags = OPEN_TREE_CLONE | os.O_CLOEXEC | AT_RECURSIVE
    return syscall("open_tree", AT_FDCWD, os.fsencode(path), flags)


def move_mount(tree_fd: int, target: str) -> None:
    """Attach a tree made by `open_tree` at `target`."""
    syscall("move_mount", tree_fd, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH)


def mount_setattr(fd: int, set_flags: int, *, path: str = "", recursive: bool = True) -> None:
    """Set attributes on a tree of mounts (Linux 5.12)."""
    attributes = struct.pack("=QQQQ", set_flags, 0, 0, 0)
    flags = (AT_RECURSIVE if recursive else 0) | (AT_EMPTY_PATH if not path else 0)
    syscall("mount_setattr", fd, os.fsencode(path), flags, attributes, len(attributes))


def hide_mounts() -> None:
    """Make a detached copy of our mounts our root, in which everything is where it was.

    /proc/PID/mountinfo tells of mounts in the process's mount namespace as far as its root reaches them: from this
    root that is none, and with them go the machine's paths and device names.
    """
    enter_root(open_tree("/"))


def enter_root(fd: int) -> None:
    """Make a directory our root and our working directory, and close its descriptor."""
    try:
        os.fchdir(fd)
        os.chroot(".")
    finally:
        os.close(fd)


_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def raise_loopback() -> None:
    """Bring up `lo` in our network namespace (netdevice(7)): nothing else is in a new one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        (flags,) = struct.unpack_from(
            "=H", fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("=16sH22x", b"lo", 0)), 16
        )
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("=16sH22x", b"lo", flags | _IFF_UP))


def prctl(option: int, *arguments: int) -> int:
    """prctl(2)."""
    return _checked("prctl", libc.prctl(option, *arguments, *_NOTHING[len(arguments) + 2 :]))


def drop_bounding_set() -> None:
    """Take away what exec could ever gain. Needs CAP_SETPCAP, so it comes before `drop_capabilities`."""
    for capability in range(capabilities()):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            _raise("prctl")


@functools.cache
def capabilities() -> int:
    """How many capabilities the kernel knows. A fork server asks ahead, for all that it forks."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_READ, capability)
        except OSError as error:
            if error.errno != errno.EINVAL or not capability:
                raise
            return capability
    return 64


def drop_capabilities() -> None:
    """Leave the calling thread without any capability."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    syscall("capset", header, bytes(24))


def set_title(title: str) -> None:
    """What `ps` shows of this process: `title`, in place of the command line that it was started with.

    Needs /proc (proc(5): arg_start and arg_end are fields 48 and 49 of stat).
    """
    start, end = _command_line()
    text = title.encode()[: end - start - 1]
    ctypes.memmove(start, text.ljust(end - start, b"\0"), end - start)
    set_name(title.removeprefix("belljar "))


def set_name(name: str) -> None:
    """The short name of the calling thread, and of what it starts: at most 15 bytes."""
    if _prctl_with_text(PR_SET_NAME, name.encode()[:15], 0, 0, 0) < 0:
        _raise("prctl")


@functools.cache
def _command_line() -> tuple[int, int]:
    """Where it lies in memory: in what is forked at the same place, and so asked for once."""
    with open("/proc/self/stat") as stat:
        fields = stat.read().rpartition(") ")[2].split()
    return int(fields[45]), int(fields[46])


def write_file(path: str | os.PathLike[str], text: str, *, directory_fd: int | None = None) -> None:
    """One write(2) to a file that is there, as those of /proc and cgroups want it: its errno is the kernel's answer."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory_fd)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def close_range(first: int, last: int = 0xFFFFFFFF) -> None:
    """Close every descriptor from `first` to `last` (Linux 5.9)."""
    if first <= last:
        syscall("close_range", first, last, 0)


def share_descriptors(one: int, other: int) -> bool:
    """Whether two threads have one table of descriptors; not where nobody may know (kcmp(2), KCMP_FILES)."""
    with contextlib.suppress(OSError):
        return syscall("kcmp", one, other, 2) == 0
    return False


def openat2(directory_fd: int, path: bytes, flags: int, mode: int = 0) -> int:
    """Open below a directory: no link of any kind, no mount point, no way up (Linux 5.6)."""
    resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    return syscall("openat2", directory_fd, path, how, len(how))


def set_filesystem_ids(uid: int, gid: int) -> None:
    """Make files as this user: setfsgid(2), then setfsuid(2), for the calling thread only."""
    # Both return the previous id and never fail; a second call with -1 would tell what is in force.
    libc.syscall(_NUMBER["setfsgid"], gid, *_NOTHING[1:])
    libc.syscall(_NUMBER["setfsuid"], uid, *_NOTHING[1:])


def collapse_memory() -> int:
    """Move our private memory into huge pages where it fills them; returns how many bytes were moved.

    A fork copies page tables: with 2 MiB pages there are 512 times fewer entries (madvise(2), MADV_COLLAPSE,
    Linux 6.1). A kernel that cannot leaves everything as it was.
    """
    moved = 0
    with open("/proc/self/maps") as maps:
        ranges = [line.split() for line in maps]
    for fields in ranges:
        if fields[1] != "rw-p" or (len(fields) > 5 and fields[5] != "[heap]"):
            continue
        start, end = (int(edge, 16) for edge in fields[0].split("-"))
        start, end = -(-start // HUGE_PAGE) * HUGE_PAGE, end // HUGE_PAGE * HUGE_PAGE
        for address in range(start, end, HUGE_PAGE):
            # One at a time: a range stops at the first page that cannot be moved.
            if libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(HUGE_PAGE), MADV_COLLAPSE) == 0:
                moved += HUGE_PAGE
    return moved


def page_out(pidfd: int, start: int, length: int) -> None:
    """Advise that another process does not need a range of its memory soon (process_madvise(2), Linux 5.10).

    Needs CAP_SYS_NICE and the right to look into the process. Of an empty range only these are asked for.
    """
    syscall("process_madvise", pidfd, struct.pack("=QQ", start, length), int(length > 0), MADV_PAGEOUT, 0)


def trim_heap() -> None:
    """Give the kernel back what malloc has kept for later (malloc_trim(3)). Only glibc has it, and keeps so much."""
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(ctypes.c_size_t(0))


def give_back_large() -> None:
    """Have malloc give the kernel back what is large as soon as it is freed (mallopt(3)). As long as nobody fixes the
    threshold glibc raises it to the largest block that was freed, up to 32 MiB, and keeps what is smaller.
    """
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, _LARGE_BYTES)


class Filter:
    """A compiled seccomp filter (struct sock_filter, 8 bytes each), ready to be installed by whoever is forked."""

    def __init__(self, program: bytes) -> None:
        self._buffer = ctypes.create_string_buffer(program, len(program))
        self._pointer = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(self._buffer))

    def install(self) -> None:
        """For the calling thread and all that it starts."""
        syscall("seccomp", SECCOMP_SET_MODE_FILTER, 0, self._pointer)


class Landlock:
    """A Landlock ruleset that refuses what it is told to, signals to others included, and allows what is added.

    Source: the kernel's Documentation/userspace-api/landlock.rst.
    """

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    MAKE_CHAR = 1 << 6
    MAKE_BLOCK = 1 << 11
    REFER = 1 << 13
    IOCTL_DEVICE = 1 << 15
    _OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | IOCTL_DEVICE  # and truncate
    _PATH_BENEATH = 1
    # How many rights on files each ABI handles: 1-2 (Linux 5.13, 5.19), 3 truncate (6.2), 5 device ioctl (6.10)
    _FILE_RIGHTS: ClassVar[dict[int, int]] = {1: 13, 2: 14, 3: 15, 4: 15}

    def __init__(self, *, refuses_tcp: bool, refuses_files: bool = True) -> None:
        abi = self.abi()
        # To move files between directories is refused by every ruleset that does not allow it, asked or not.
        self.handled = (1 << self._FILE_RIGHTS.get(abi, 16)) - 1 if refuses_files else self.REFER
        network = 3 if refuses_tcp and abi >= 4 else 0  # TCP bind and connect (Linux 6.7)
        scoped = 3 if abi >= 6 else 0  # abstract Unix sockets and signals (Linux 6.12)
        fields = [self.handled]
        if abi >= 4:
            fields.append(network)
        if abi >= 6:
            fields.append(scoped)
        attributes = struct.pack(f"={len(fields)}Q", *fields)
        self._fd = syscall("landlock_create_ruleset", attributes, len(attributes), 0)

    @staticmethod
    @functools.cache
    def abi() -> int:
        """The ABI that the kernel speaks; 0 where there is no Landlock. A fork server asks ahead."""
        try:
            return syscall("landlock_create_ruleset", 0, 0, 1)
        except OSError:
            return 0

    def allow(self, path: str, rights: int) -> None:
        """Allow `rights` below `path`; those that the kernel does not handle are left out."""
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                rights &= self._OF_A_FILE
            rule = struct.pack("=Qi", rights & self.handled, fd)
            syscall("landlock_add_rule", self._fd, self._PATH_BENEATH, rule, 0)
        finally:
            os.close(fd)

    def restrict_self(self) -> None:
        """Put the ruleset in force for the calling thread and all that it starts."""
        syscall("landlock_restrict_self", self._fd, 0)
        os.close(self._fd)
