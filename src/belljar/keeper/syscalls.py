"""Which system calls a guest may make, and for which argument values, each line with its reason. Data only.

What is in none of these tables does not exist for a guest (ENOSYS): libraries fall back, and a call that a later
kernel adds is closed by default. `SEEN` is what the libraries of the runtime and ordinary programs call, as collected
by `scripts/collect-syscalls` (tests/sandbox/libraries/collected.txt); `UNSEEN` is the little that is allowed besides.
A test holds both against the collection.
"""

from __future__ import annotations

import errno

SEEN: dict[str, str] = {
    # -- descriptors
    "read write readv writev pread64 pwrite64": "bytes of its own descriptors",
    "open openat creat close close_range lseek": "files; Landlock and the private root decide which",
    "dup dup2 pipe2": "redirections and pipes between its own processes",
    "sendfile copy_file_range fallocate": "copies and reservations of files: shutil, cp, pyarrow",
    "flock ftruncate truncate": "databases and logs on its own file system",
    # -- the tree of files
    "stat fstat newfstatat statx statfs fstatfs access faccessat2": "what a file is",
    "readlink readlinkat getcwd chdir fchdir getdents64": "finding one's way",
    "mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat": "its own files",
    "chmod fchmod fchmodat chown fchown fchownat lchown umask utimensat": "modes and times of its own files",
    "getxattr fgetxattr listxattr llistxattr flistxattr": "cp -a and shutil ask for attributes, and may set none",
    # -- waiting
    "poll pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait": "event loops",
    "eventfd2": "wake-ups inside of event loops",
    # -- memory
    "munmap mremap mprotect brk msync": "memory; cgroup or RLIMIT_DATA bound it",
    # -- signals and timers, to and for itself
    "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigpending rt_sigtimedwait sigaltstack": "handlers",
    "pause alarm getitimer setitimer": "signal.alarm and friends; POSIX timers could send SIGCONT, and are not here",
    "clock_nanosleep clock_gettime clock_getres times": "clocks",
    # -- processes and threads
    "vfork execve execveat exit exit_group wait4 waitid": "subprocesses",
    "set_tid_address set_robust_list rseq futex": "what libc does for each thread",
    "getpid getppid gettid getuid geteuid getgid getegid getresuid getresgid getgroups": "who am I",
    "getpgid getpgrp getsid setpgid setsid": "job control of shells",
    "setresuid setresgid": "to the ids that it has: without capabilities the kernel allows no other",
    "capget": "what am I able to do: nothing",
    "getrusage getpriority sched_yield": "what did I use; let others run",
    "sched_getaffinity sched_getparam sched_getscheduler sched_rr_get_interval": "how many processors are there",
    "sched_get_priority_max sched_get_priority_min": "constants",
    "setpriority": "os.nice, of processes in the box; without one, of the caller alone",
    "sched_setaffinity": "pools pin their workers; not where it is how a session gets its processors",
    "uname sysinfo getrandom": "facts that the libraries ask for at import",
    "pidfd_open": "asyncio and subprocess wait for children by it",
    # -- sockets: which ones can be made stands in SOCKETS
    "connect bind listen accept4 shutdown getsockname getpeername": "sockets within the box",
    "recvfrom recvmsg": "data, and descriptors among its own processes",
    "fsync fdatasync": "databases ask for it; in a box they are answered, since its files are in memory",
}

UNSEEN: dict[str, str] = {
    "fork pipe dup3 accept preadv pwritev nanosleep gettimeofday time getcpu": "other ways to do what is in SEEN",
    "lstat getdents faccessat utime utimes futimesat epoll_create eventfd": "the same, of older libraries",
    "select ppoll epoll_pwait2": "the same, of other architectures and newer libraries",
    "openat2": "open below a directory: more careful than openat",
    "getrlimit setrlimit": "prlimit64 of older libraries, for itself",
    "setuid setgid setreuid setregid": "as setresuid: to the ids that it has",
    "lgetxattr": "as getxattr",
    "get_robust_list": "debugging aids of libc",
    "mlock munlock": "libraries of cryptography keep keys from the swap; RLIMIT_MEMLOCK bounds it",
    "timerfd_create timerfd_settime timerfd_gettime": "os.timerfd_create, of Python 3.13",
    "restart_syscall": "the kernel's own: a sleep goes on after a stop",
}

REFUSED: dict[int, str] = {
    # Code tries these on purpose: an honest EPERM says more than ENOSYS, which reads as an old kernel.
    errno.EPERM: """
        ptrace process_vm_readv process_vm_writev kcmp mount umount2 pivot_root chroot setns unshare
        open_tree move_mount fsopen fsmount fsconfig fspick mount_setattr open_by_handle_at
        name_to_handle_at bpf perf_event_open keyctl add_key request_key init_module finit_module
        delete_module kexec_load reboot swapon swapoff acct sethostname setdomainname settimeofday
        clock_settime adjtimex syslog quotactl iopl ioperm personality capset seccomp vmsplice
        userfaultfd setgroups sched_setscheduler sched_setparam sched_setattr ioprio_set
    """,
    # As a file system without attributes has it: cp, tar and libacl then do without. They would be kernel memory.
    errno.EOPNOTSUPP: "setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr",
}

_INT = 0xFFFFFFFF
"""The kernel reads an int where the register has 64 bits."""
ALL = (1 << 64) - 1

# Every CLONE_NEW* flag, CLONE_NEWTIME included; and CLONE_PTRACE, CLONE_PARENT (a child of the zygote would be out of
# sight) and CLONE_UNTRACED. The low byte is the signal that tells the parent of the end: SIGCONT there would wake a
# stopped one. clone3 passes its flags in memory, where no filter can look: it stays unknown, and libc falls back.
_CLONE_REFUSED = 0x7E020080 | 0x00002000 | 0x00008000 | 0x00800000
_SIGCHLD = 17

_S_IFMT = 0o170000
_S_IFREG = 0o100000
_S_IFIFO = 0o010000
_DEVICES_AND_SOCKETS = (0o020000, 0o060000, 0o140000)
_RWF_NOWAIT_AND_NEWER = _INT & ~0x17
"""All flags but HIPRI, DSYNC, SYNC and APPEND: RWF_NOWAIT tells which pages of shared libraries others have read."""
_MFD_HUGETLB_AND_NEWER = _INT & ~0x1B
"""All flags but CLOEXEC, ALLOW_SEALING, NOEXEC_SEAL and EXEC: huge pages are few, and the machine's."""
_MAP_HUGETLB = 0x40000
_MSG_MORE = 0x8000

Condition = tuple[int, int, int] | tuple[int, int]
"""Of a call: the argument's number, a mask, and what is left below the mask; or the number and all 64 bits of what it
is not."""


def _each(argument: int, *values: int) -> list[list[Condition]]:
    return [[(argument, _INT, value)] for value in values]


def _both(one: list[list[Condition]], other: list[list[Condition]]) -> list[list[Condition]]:
    return [[*first, *second] for first in one for second in other]


_SIGCONT = 18
_SIGNALS = [number for number in range(65) if number != _SIGCONT]
"""Without SIGCONT: the keeper stops a session between runs, and only the keeper lets it go on."""
_PR_SET_DUMPABLE = 4

BY_ARGUMENT: dict[str, list[list[Condition]]] = {
    "clone": [[(0, _CLONE_REFUSED | 0xFF, signal)] for signal in (0, _SIGCHLD)],
    # Without MAP_HUGETLB: huge pages are reserved for the machine's own programs, and counted by no limit of ours.
    "mmap": [[(3, _MAP_HUGETLB, 0)]],
    "memfd_create": [[(1, _MFD_HUGETLB_AND_NEWER, 0)]],
    "kill": _each(1, *_SIGNALS),
    "tgkill": _each(2, *_SIGNALS),
    "pidfd_send_signal": _each(1, *_SIGNALS),
    # Limits of others are not a guest's business.
    "prlimit64": _each(0, 0),
    # Named pipes and plain files; no devices.
    "mknod": [[(1, _S_IFMT, kind)] for kind in (0, _S_IFREG, _S_IFIFO)],
    "mknodat": [[(2, _S_IFMT, kind)] for kind in (0, _S_IFREG, _S_IFIFO)],
    # Without MSG_MORE: what waits for more in a UDP socket is counted by no limit.
    "sendto": [[(3, _MSG_MORE, 0)]],
    "sendmsg": [[(2, _MSG_MORE, 0)]],
    "sendmmsg": [[(3, _MSG_MORE, 0)]],  # getaddrinfo asks for both kinds of address at once
    # Without DONTNEED, which is answered below.
    "fadvise64": _each(3, 0, 1, 2, 3, 5),
    "preadv2": [[(5, _RWF_NOWAIT_AND_NEWER, 0)]],
    "pwritev2": [[(5, _RWF_NOWAIT_AND_NEWER, 0)]],
    "arch_prctl": _each(
        0,
        0x1002,  # ARCH_SET_FS: the thread's own storage
        0x1003,  # ARCH_GET_FS
        0x1021,  # ARCH_GET_XCOMP_SUPP: the tiles of matrix libraries
        0x1022,  # ARCH_GET_XCOMP_PERM
        0x1023,  # ARCH_REQ_XCOMP_PERM
    ),
    "ioctl": _each(
        1,
        0x5401,  # TCGETS: isatty()
        0x5413,  # TIOCGWINSZ: terminal size
        0x541B,  # FIONREAD
        0x5421,  # FIONBIO
        0x5450,  # FIONCLEX
        0x5451,  # FIOCLEX
        0x5452,  # FIOASYNC
    ),
    # Without those that choose a signal or its receiver, leases, larger pipes (which a user has few of), and locks of
    # descriptors, which could be held by ones that are on their way through a socket, where nobody can count them.
    "fcntl": _each(
        1,
        *range(8),  # F_DUPFD, descriptor flags, status flags, record locks
        1030,  # F_DUPFD_CLOEXEC
        1032,  # F_GETPIPE_SZ
        1033,  # F_ADD_SEALS
        1034,  # F_GET_SEALS
    ),
    "prctl": _each(
        0,
        2,  # PR_GET_PDEATHSIG
        3,  # PR_GET_DUMPABLE
        15,  # PR_SET_NAME
        16,  # PR_GET_NAME
        21,  # PR_GET_SECCOMP
        23,  # PR_CAPBSET_READ
        29,  # PR_SET_TIMERSLACK
        30,  # PR_GET_TIMERSLACK
        38,  # PR_SET_NO_NEW_PRIVS
        39,  # PR_GET_NO_NEW_PRIVS
    ),
    # Without MERGEABLE (pages shared with strangers), COLD and PAGEOUT (shared libraries out of memory), HWPOISON.
    "madvise": _each(
        2,
        *range(5),  # NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED
        8,  # FREE
        9,  # REMOVE
        10,  # DONTFORK
        11,  # DOFORK
        14,  # HUGEPAGE: the transparent ones
        15,  # NOHUGEPAGE
        16,  # DONTDUMP
        17,  # DODUMP
        18,  # WIPEONFORK
        19,  # KEEPONFORK
        22,  # POPULATE_READ
        23,  # POPULATE_WRITE
        25,  # COLLAPSE
    ),
}
"""Allowed where one of the lists of conditions holds."""

REFUSED_BY_ARGUMENT: list[tuple[str, int, list[list[Condition]]]] = [
    ("kill", errno.EPERM, _each(1, _SIGCONT)),
    ("tgkill", errno.EPERM, _each(2, _SIGCONT)),
    ("pidfd_send_signal", errno.EPERM, _each(1, _SIGCONT)),
    ("prlimit64", errno.EPERM, [[(0, 0)]]),
    # As the kernel has it for who lacks CAP_MKNOD.
    ("mknod", errno.EPERM, [[(1, _S_IFMT, kind)] for kind in _DEVICES_AND_SOCKETS]),
    ("mknodat", errno.EPERM, [[(2, _S_IFMT, kind)] for kind in _DEVICES_AND_SOCKETS]),
    # As where none are reserved.
    ("mmap", errno.ENOMEM, [[(3, _MAP_HUGETLB, _MAP_HUGETLB)]]),
    # Success, without effect: timeout(1) wants to leave no core, and none is written.
    # It would put libraries that all sessions share out of memory; of its own files there is nowhere to put them.
    ("fadvise64", 0, _each(3, 4)),
    ("prctl", 0, [[(0, _INT, _PR_SET_DUMPABLE), (1, ALL, 0)]]),
    # As from a kernel without names for mappings (PR_SET_VMA): it has memory for each, which no cgroup counts.
    ("prctl", errno.EINVAL, _each(0, 0x53564D41)),
    # What is asked of a terminal, or told to one, as everything answers that is none.
    (
        "ioctl",
        errno.ENOTTY,
        _each(
            1,
            *range(0x5402, 0x540C),  # TCSETS to TCFLSH: tcsetattr, tcsendbreak, tcflow, tcflush
            0x540F,  # TIOCGPGRP
            0x5410,  # TIOCSPGRP
            0x5411,  # TIOCOUTQ
            0x5414,  # TIOCSWINSZ
            0x5425,  # TCSBRKP: tcdrain
            0x5429,  # TIOCGSID
            0x802C542A,  # TCGETS2
            *range(0x402C542B, 0x402C542E),  # TCSETS2
            0x80045430,  # TIOCGPTN
        ),
    ),
]
"""The call, the answer, which is another than ENOSYS, and when: where one of the lists of conditions holds."""

# -- sockets -----------------------------------------------------------------------------------------------

_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_STREAM, _DGRAM = 1, 2
_KIND = 0xF
"""The rest of a socket's type is SOCK_NONBLOCK and SOCK_CLOEXEC."""
_TCP, _UDP = 6, 17

SOCKETS: list[list[Condition]] = [
    [(0, _INT, _AF_UNIX)],
    *_both(
        _each(0, _AF_INET, _AF_INET6),
        [
            [(1, _KIND, kind), (2, _INT, protocol)]
            for kind, protocol in ((_STREAM, 0), (_STREAM, _TCP), (_DGRAM, 0), (_DGRAM, _UDP))
        ],
    ),
]
"""Within a network namespace of the box's own, in which there is nothing but its loopback."""
OTHER_FAMILIES = _each(0, *(family for family in range(64) if family not in (_AF_UNIX, _AF_INET, _AF_INET6)))
"""Those that there are, and room for more: EAFNOSUPPORT, as from a kernel that was built without them."""
RAW_SOCKETS: list[list[Condition]] = [[(0, _INT, family), (1, _KIND, 3)] for family in (_AF_INET, _AF_INET6)]
"""EPERM, as from the kernel."""

_SOL_SOCKET, _SOL_IP, _SOL_IPV6 = 1, 0, 41
OPTIONS_SET: dict[int, tuple[int, ...]] = {
    _SOL_SOCKET: (
        2,  # SO_REUSEADDR
        6,  # SO_BROADCAST
        7,  # SO_SNDBUF: within the machine's limit
        9,  # SO_KEEPALIVE
        10,  # SO_OOBINLINE
        15,  # SO_REUSEPORT
        16,  # SO_PASSCRED
        20,  # SO_RCVTIMEO
        21,  # SO_SNDTIMEO
        66,  # SO_RCVTIMEO, with 64 bits
        67,  # SO_SNDTIMEO, with 64 bits
    ),
    _SOL_IP: (1, 2, 10, 24),  # IP_TOS, IP_TTL, IP_MTU_DISCOVER, IP_BIND_ADDRESS_NO_PORT
    _SOL_IPV6: (16, 26),  # IPV6_UNICAST_HOPS, IPV6_V6ONLY
    # TCP_NODELAY, MAXSEG, CORK, KEEPIDLE, KEEPINTVL, KEEPCNT, SYNCNT, LINGER2, DEFER_ACCEPT, QUICKACK, USER_TIMEOUT
    _TCP: (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 18),
}
"""By level. Without filters (SO_ATTACH_FILTER), other congestion control, ULP, fast open and multicast."""
OPTIONS_WITHOUT_EFFECT: dict[int, tuple[int, ...]] = {
    _SOL_SOCKET: (
        # More may wait in a socket then. In one that nobody has accepted it is memory that no cgroup counts, and a
        # few would take hundreds of MiB; RCVLOWAT makes a buffer larger as well.
        8,  # SO_RCVBUF
        18,  # SO_RCVLOWAT
        # Whoever closes a socket last would wait as long as it says: that may be the keeper, to whom a guest can pass
        # one.
        13,  # SO_LINGER
    ),
}
"""They are answered as if they were set."""
OPTIONS_GET: dict[int, tuple[int, ...]] = {
    **OPTIONS_SET,
    _SOL_SOCKET: (
        *OPTIONS_SET[_SOL_SOCKET],
        3,  # SO_TYPE
        4,  # SO_ERROR
        *OPTIONS_WITHOUT_EFFECT[_SOL_SOCKET],
        17,  # SO_PEERCRED: of its own processes, no other is within reach
        30,  # SO_ACCEPTCONN
        38,  # SO_PROTOCOL
        39,  # SO_DOMAIN
    ),
    _TCP: (*OPTIONS_SET[_TCP], 11),  # TCP_INFO
}
OPTIONS_UNKNOWN: dict[int, tuple[int, ...]] = {
    # SO_DEBUG, DONTROUTE, PRIORITY, BINDTODEVICE, ATTACH_FILTER, TIMESTAMP, TIMESTAMPNS, MARK, BUSY_POLL,
    # INCOMING_CPU, ZEROCOPY
    _SOL_SOCKET: (1, 5, 12, 25, 26, 29, 35, 36, 46, 49, 60),
    _SOL_IP: (8, 11, 12, *range(32, 37)),  # IP_PKTINFO, RECVERR, RECVTTL, and multicast
    _SOL_IPV6: (*range(17, 22), 25, 49, 67),  # multicast, IPV6_RECVERR, RECVPKTINFO, TCLASS
    _TCP: (13, 23, 25, 30),  # TCP_CONGESTION, FASTOPEN, NOTSENT_LOWAT, FASTOPEN_CONNECT
}
"""Those that programs try and do without: ENOPROTOOPT, as from a kernel that has not got them. ENOSYS, which all others
get, reads as if there were no setsockopt at all."""

# -- where no cgroup counts memory --------------------------------------------------------------------------

_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20
_SHARED_WITHOUT_FILE = _MAP_SHARED | _MAP_ANONYMOUS
MAPPINGS: list[list[Condition]] = [
    [(3, _MAP_HUGETLB | _SHARED_WITHOUT_FILE, kind)] for kind in (0, _MAP_SHARED, _MAP_ANONYMOUS)
]
MAPPINGS_REFUSED: list[list[Condition]] = [[(3, _MAP_HUGETLB | _SHARED_WITHOUT_FILE, _SHARED_WITHOUT_FILE)]]
"""Of mmap. A process that lets go of pages of shared memory (MADV_DONTNEED, munmap of a part) gives nothing back: they
stay, in no process and in no file, where nobody could count them."""

# -- where a program of the machine's takes in the cores (core(5): core_pattern is a pipe) --------------------

_RLIMIT_CORE = 4
_OTHER_RLIMITS = [number for number in range(16) if number != _RLIMIT_CORE]
CORES_ALLOWED: dict[str, list[list[Condition]]] = {
    "prlimit64": [
        *_both([[(0, _INT, 0)]], _each(1, *_OTHER_RLIMITS)),
        [(0, _INT, 0), (1, _INT, _RLIMIT_CORE), (2, ALL, 0)],
    ],
    "setrlimit": _each(0, *_OTHER_RLIMITS),
}
CORES_REFUSED: dict[str, list[list[Condition]]] = {
    "prlimit64": [[(0, _INT, 0), (1, _INT, _RLIMIT_CORE), (2, 0)]],
    "setrlimit": _each(0, _RLIMIT_CORE),
}
"""A limit of 1 keeps that program from being started for a guest, as root and outside; a limit of 0 does not."""

# -- on the machine itself ---------------------------------------------------------------------------------

UNREACHABLE = "socket connect bind listen accept accept4 pidfd_open pidfd_send_signal".split()
"""Where a guest shares the machine's files and network, Landlock does not cover Unix sockets with a path (before
ABI 9), nor handles of processes."""
FLUSHES = "fsync fdatasync".split()
"""In a box they answer success: its files are in memory, and those of the machine are not for it to flush."""
WITHOUT_EFFECT = "chmod fchmod fchmodat chown fchown fchownat lchown utime utimes utimensat futimesat".split()
"""Landlock does not cover these either, and with the uid of its user a guest could change that user's files. They
answer success, for programs that only want to be tidy; what they would have changed stays as it is."""
ATTRIBUTES = "getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr".split()
"""Of files that Landlock keeps from being read they could be asked all the same: there are none."""
PAIRS = [[(0, _INT, _AF_UNIX), (1, _KIND, kind)] for kind in (_STREAM, 5)]
"""A pair of datagram sockets could still send to any path; streams and SOCK_SEQPACKET cannot."""
OWN_PRIORITY: list[list[Condition]] = [[(0, _INT, 0), (1, _INT, 0)]]
"""Of setpriority: for a process group or a user the number is another argument, and others are meant."""
CLOCKS = "clock_gettime clock_getres clock_nanosleep".split()
_OWN_PROCESS = 0xFFFFFFFA
OWN_CLOCKS: list[list[Condition]] = [
    [(0, 0x80000000, 0)],
    [(0, 0x80000004, 0x80000004)],
    [(0, _INT, _OWN_PROCESS)],
]
"""Of CLOCKS. A negative clock is the processor time of a process, any process; of threads only one's own have one."""


def names(table: dict[str, str]) -> list[str]:
    """Every call of a table with reasons."""
    return [name for line in table for name in line.split()]


def options(table: dict[int, tuple[int, ...]]) -> list[list[Condition]]:
    """The conditions of setsockopt or getsockopt."""
    return [[(1, _INT, level), (2, _INT, option)] for level, known in table.items() for option in known]
