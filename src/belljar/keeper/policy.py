"""What a guest may do: its system calls, its view of the file system, its rlimits."""

from __future__ import annotations

import errno
import math
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pyseccomp

from belljar import layout
from belljar.keeper.boxes import Places
from belljar.wire.execution import Limits

# Allowed without a look at the arguments. What is not listed here or below does not exist for a guest (ENOSYS),
# so that libraries fall back, and a call that a later kernel adds is closed by default.
_ALLOWED = """
    read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 sendfile splice tee
    copy_file_range open openat openat2 creat close close_range lseek dup dup2 dup3 flock ftruncate
    truncate fallocate fsync fdatasync sync_file_range fadvise64 readahead pipe pipe2 stat lstat fstat
    newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat getcwd chdir fchdir
    mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat chmod
    fchmod fchmodat chown fchown fchownat lchown umask utime utimes utimensat futimesat getdents
    getdents64 getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr poll ppoll select pselect6
    epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd
    signalfd4 timerfd_create timerfd_settime timerfd_gettime mmap munmap mremap mprotect madvise brk
    msync mincore mlock munlock mlock2 membarrier rt_sigaction rt_sigprocmask rt_sigreturn rt_sigsuspend
    rt_sigpending rt_sigtimedwait sigaltstack pause alarm getitimer setitimer restart_syscall nanosleep
    clock_nanosleep clock_gettime clock_getres gettimeofday time times fork vfork execve execveat exit
    exit_group wait4 waitid set_tid_address set_robust_list get_robust_list rseq futex futex_waitv
    arch_prctl getcpu getpid getppid gettid getuid geteuid getgid getegid getresuid getresgid getgroups
    getpgid getpgrp getsid setpgid setsid setuid setgid setreuid setregid setresuid setresgid setfsuid
    setfsgid setgroups capget getpriority setpriority getrlimit setrlimit getrusage sched_yield
    sched_getaffinity sched_setaffinity sched_getparam sched_getscheduler sched_get_priority_max
    sched_get_priority_min sched_rr_get_interval sched_getattr ioprio_get uname sysinfo getrandom
    get_mempolicy connect bind listen accept accept4 shutdown sendto recvfrom sendmsg recvmsg sendmmsg
    recvmmsg getsockname getpeername getsockopt setsockopt pidfd_open
""".split()

# Calls that code tries on purpose: an honest EPERM says more than ENOSYS, which reads as an old kernel.
_REFUSED = """
    ptrace process_vm_readv process_vm_writev kcmp mount umount2 pivot_root chroot setns unshare
    open_tree move_mount fsopen fsmount fsconfig fspick mount_setattr open_by_handle_at
    name_to_handle_at bpf perf_event_open keyctl add_key request_key init_module finit_module
    delete_module kexec_load reboot swapon swapoff acct sethostname setdomainname settimeofday
    clock_settime adjtimex syslog quotactl iopl ioperm personality mknod mknodat capset seccomp
    vmsplice userfaultfd setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
""".split()

_SIGCHLD = 17
_AF_UNIX = 1
_SOCK_STREAM = 1
_SOCK_SEQPACKET = 5
_SOCK_KIND_MASK = 0xF
# Every CLONE_NEW* flag, CLONE_NEWTIME included; and CLONE_PTRACE, CLONE_PARENT (a child of the zygote would be out of
# sight) and CLONE_UNTRACED.
_CLONE_REFUSED = 0x7E020080 | 0x00002000 | 0x00008000 | 0x00800000
_ARGUMENT_MASK = 0xFFFFFFFF
_IOCTLS = (
    0x5401,  # TCGETS: isatty()
    0x5413,  # TIOCGWINSZ: terminal size
    0x541B,  # FIONREAD
    0x5421,  # FIONBIO
    0x5450,  # FIONCLEX
    0x5451,  # FIOCLEX
    0x5452,  # FIOASYNC
)
_FCNTLS = (
    *range(8),  # F_DUPFD, descriptor flags, status flags, record locks
    36,  # F_OFD_GETLK
    37,  # F_OFD_SETLK
    38,  # F_OFD_SETLKW
    1030,  # F_DUPFD_CLOEXEC
    1032,  # F_GETPIPE_SZ
    1033,  # F_ADD_SEALS
    1034,  # F_GET_SEALS
)
"""Without those that choose a signal or its receiver, leases, and larger pipes (which a user has few of)."""
_SIGNALS = (*range(18), *range(19, 65))
"""Without SIGCONT: the keeper stops a session between runs, and only the keeper lets it go on."""
_PRCTLS = (
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
    0x53564D41,  # PR_SET_VMA: names for mappings
)


def filter_program(*, has_memory_cgroup: bool, has_own_network: bool, has_own_uid: bool) -> bytes:
    """The seccomp filter as BPF instructions, for `kernel.install_filter`.

    Without a memory cgroup there are no memfds: their pages are in no process that could be counted. Without a network
    of its own a guest has no files of its own either: it stands on the machine, and what Landlock leaves open is
    refused here.
    """
    rules = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.ENOSYS))
    # 32-bit and x32 calls have numbers of their own: no honest program here uses them.
    rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    on_the_machine = () if has_own_network else (*_ON_THE_MACHINE, *_WITHOUT_EFFECT, *_ON_ITSELF_ONLY)
    for name in _ALLOWED:
        if name not in on_the_machine and (has_memory_cgroup or name != "sched_setaffinity"):
            _add(rules, pyseccomp.ALLOW, name)
    if not has_own_network:
        _restrict_on_the_machine(rules, has_own_uid=has_own_uid)
    if not has_memory_cgroup:
        rules.add_rule(
            pyseccomp.ERRNO(errno.EPERM), "sched_setaffinity"
        )  # it is how its processors are given to it
    for name in _REFUSED:
        _add(rules, pyseccomp.ERRNO(errno.EPERM), name)
    # The low byte is the signal that tells the parent of the end: SIGCONT there would wake a stopped one.
    for at_its_end in (0, _SIGCHLD):
        masked = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _CLONE_REFUSED | 0xFF, at_its_end)
        rules.add_rule(pyseccomp.ALLOW, "clone", masked)
    # clone3 passes its flags in memory, where no filter can look. It stays unknown: libc falls back to clone.
    for name in ("socket", "socketpair") if has_own_network else ():
        family = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _ARGUMENT_MASK, _AF_UNIX)
        rules.add_rule(pyseccomp.ALLOW, name, family)
        other = pyseccomp.Arg(0, pyseccomp.NE, _AF_UNIX)
        rules.add_rule(pyseccomp.ERRNO(errno.EAFNOSUPPORT), name, other)
    for number in _IOCTLS:
        rules.add_rule(
            pyseccomp.ALLOW, "ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, _ARGUMENT_MASK, number)
        )
    for option in _PRCTLS:
        rules.add_rule(
            pyseccomp.ALLOW, "prctl", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _ARGUMENT_MASK, option)
        )
    for command in _FCNTLS:
        rules.add_rule(
            pyseccomp.ALLOW, "fcntl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, _ARGUMENT_MASK, command)
        )
    for number in _SIGNALS:
        rules.add_rule(pyseccomp.ALLOW, "kill", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, _ARGUMENT_MASK, number))
        rules.add_rule(
            pyseccomp.ALLOW, "tgkill", pyseccomp.Arg(2, pyseccomp.MASKED_EQ, _ARGUMENT_MASK, number)
        )
    if has_memory_cgroup:
        rules.add_rule(pyseccomp.ALLOW, "memfd_create")
    # Other processes' limits are not a guest's business: only its own (pid 0).
    rules.add_rule(pyseccomp.ALLOW, "prlimit64", pyseccomp.Arg(0, pyseccomp.EQ, 0))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


# Where a guest shares the machine's files and network:
_ON_THE_MACHINE = "connect bind listen accept accept4 pidfd_open".split()
"""Landlock does not cover Unix sockets with a path (before ABI 9), nor handles of processes."""
_WITHOUT_EFFECT = """
    chmod fchmod fchmodat chown fchown fchownat lchown utime utimes utimensat futimesat
""".split()
"""Landlock does not cover these either, and with the uid of its user a guest could change that user's files. They
answer success, for programs that only want to be tidy; what they would have changed stays as it is."""
_ON_ITSELF_ONLY = ("setpriority",)


def _restrict_on_the_machine(rules: pyseccomp.SyscallFilter, *, has_own_uid: bool) -> None:
    for name in ("socket", *_ON_THE_MACHINE):
        _add(rules, pyseccomp.ERRNO(errno.EPERM), name)
    for name in _WITHOUT_EFFECT:
        _add(rules, pyseccomp.ALLOW if has_own_uid else pyseccomp.ERRNO(0), name)
    # Of themselves: for a process group or a user the number is another argument, and others are meant.
    rules.add_rule(
        pyseccomp.ALLOW,
        "setpriority",
        pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _ARGUMENT_MASK, 0),
        pyseccomp.Arg(1, pyseccomp.MASKED_EQ, _ARGUMENT_MASK, 0),
    )
    # A pair of datagram sockets could still send to any path.
    for kind in (_SOCK_STREAM, _SOCK_SEQPACKET):
        rules.add_rule(
            pyseccomp.ALLOW,
            "socketpair",
            pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _ARGUMENT_MASK, _AF_UNIX),
            pyseccomp.Arg(1, pyseccomp.MASKED_EQ, _SOCK_KIND_MASK, kind),
        )


def _add(rules: pyseccomp.SyscallFilter, action: int, name: str) -> None:
    try:
        rules.add_rule(action, name)
    except OSError as error:
        if error.errno != errno.EFAULT and error.errno != errno.EINVAL:
            raise
        # this architecture, or this libseccomp, has no call of that name: it stays at the default, refused


def rlimits(limits: Limits, *, has_cgroup: bool, baseline_bytes: int, other_processes: int) -> dict[str, int]:
    """The guest's rlimits by name. Without a cgroup they are all that bounds memory and processes.

    `baseline_bytes`: private memory of the zygote, which every guest has from birth. `other_processes`: what else is
    counted under the guest's uid.
    """
    values = {
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 1024,
        "RLIMIT_MEMLOCK": 64 * 1024,
        "RLIMIT_SIGPENDING": 512,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_FSIZE": limits.disk_bytes,
    }
    if not has_cgroup:
        values["RLIMIT_NPROC"] = limits.pids + other_processes
        values["RLIMIT_DATA"] = limits.memory_bytes + baseline_bytes
    return values


def processors(cpus: float, index: int, available: Collection[int]) -> list[int]:
    """Where no cgroup gives a share of all: whole processors, which sessions take in turn."""
    numbers = sorted(available)
    first = index * math.ceil(cpus)
    return [numbers[(first + n) % len(numbers)] for n in range(min(math.ceil(cpus), len(numbers)))]


@dataclass(frozen=True)
class View:
    """The private root: what is bound, linked, written and made in it, and the environment inside."""

    binds: list[tuple[str, str]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)


_DEVICES = ("null", "zero", "full", "random", "urandom")
_SHARED = (
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/usr/share/fonts",
    "/usr/share/locale",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/localtime",
)
_ETC = {
    "/etc/passwd": "root:x:0:0:root:/:/usr/sbin/nologin\nuser:x:1000:1000:user:/tmp:/bin/sh\n",
    "/etc/group": "root:x:0:\nuser:x:1000:\n",
    "/etc/hosts": "127.0.0.1 localhost belljar\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "/etc/hostname": "belljar\n",
}


def view(runtime: Path, base_prefix: Path, inside_zip: Path) -> View:
    """What guests see of this machine: its interpreter, libraries, fonts and time zones, and no more.

    Raises FileNotFoundError for a runtime that is not there.
    """
    shown = View(directories=["/proc", "/tmp", "/dev/shm", "/etc", layout.FILES, layout.BOX])
    for name in ("bin", "sbin", "lib", "lib64", "lib32"):
        top = Path("/") / name
        if top.is_symlink():
            shown.links.append((str(top), str(top.readlink())))
        elif top.is_dir():
            shown.binds.append((str(top), str(top)))
    shown.binds.extend((path, path) for path in _SHARED if Path(path).exists())
    if base_prefix != Path("/usr"):
        # Its own tree only: /usr/local, say, may hold other things than a Python.
        shown.binds.extend((str(base_prefix / name), str(base_prefix / name)) for name in ("bin", "lib"))
    shown.binds.append((str(runtime), layout.RUNTIME))
    shown.binds.append((str(inside_zip), layout.INSIDE))
    shown.binds.extend((f"/dev/{name}", f"/dev/{name}") for name in _DEVICES)
    shown.links.extend(
        [("/dev/fd", "/proc/self/fd")]
        + [(f"/dev/std{n}", f"/proc/self/fd/{i}") for i, n in enumerate(("in", "out", "err"))]
    )
    shown.files.extend(_ETC.items())
    return shown


def readable(runtime: Path, base_prefix: Path, inside_zip: Path) -> list[str]:
    """The same of this machine for guests that share its root: what Landlock lets them read."""
    shown = view(runtime, base_prefix, inside_zip)
    return [source for source, _ in shown.binds if not source.startswith("/dev/")]


def environment(cpus: float, places: Places) -> dict[str, str]:
    """The environment of the user's code: nothing of ours or the machine's."""
    threads = str(max(1, round(cpus)))
    return {
        "PATH": f"{places.runtime}/bin:/usr/bin:/bin",
        "HOME": places.temporary,
        "USER": "user",
        "LOGNAME": "user",
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "TMPDIR": places.temporary,
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
        "OPENBLAS_NUM_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "INPUT_DIR": places.work,
    }


def zygote_environment(places: Places) -> dict[str, str]:
    """The environment in which libraries are imported."""
    # One thread each before the fork: a pool's threads do not survive it, and setns refuses to run beside them.
    single = dict.fromkeys(
        ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
    )
    return environment(1, places) | single | {"MPLCONFIGDIR": f"{places.temporary}/matplotlib"}
