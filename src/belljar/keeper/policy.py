"""What a guest may do: its system calls, its view of the file system, its rlimits."""

from __future__ import annotations

import errno
import math
import shlex
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyseccomp

from belljar import builds, layout
from belljar.keeper import syscalls
from belljar.keeper.boxes import Places
from belljar.records import Limits


def filter_program(
    *, has_memory_cgroup: bool, has_own_network: bool, has_own_uid: bool, are_cores_piped: bool
) -> bytes:
    """The seccomp filter as BPF instructions, for `kernel.Filter`; what it lets pass stands in `syscalls`.

    Without a memory cgroup there are no memfds, and no shared memory without a file: their pages are in no process that
    could be counted. Without a network of its own a guest has no files of its own either: it stands on the machine, and
    what Landlock leaves open is refused here. Where a program of the machine's takes in cores, the limit on them stays
    what it is.
    """
    rules = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.ENOSYS))
    # 32-bit and x32 calls have numbers of their own: no honest program here uses them.
    rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    # A tree of numbers and no list: the kernel tries every number of every call when the filter is installed.
    rules.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, 2)
    decided: set[str] = set()
    """What the place decides, and not the tables."""
    if not has_own_network:
        decided |= {"setpriority", *syscalls.UNREACHABLE, *syscalls.WITHOUT_EFFECT, *syscalls.ATTRIBUTES}
        decided |= set(syscalls.CLOCKS)
        _restrict_on_the_machine(rules, has_own_uid=has_own_uid)
    if not has_memory_cgroup:
        decided |= {"sched_setaffinity", "memfd_create", "mmap"}
        _add(rules, pyseccomp.ALLOW, "mmap", syscalls.MAPPINGS)
        _add(rules, pyseccomp.ERRNO(errno.EPERM), "mmap", syscalls.MAPPINGS_REFUSED)
        # It is how its processors are given to it.
        _add(rules, pyseccomp.ERRNO(errno.EPERM), "sched_setaffinity")
    if has_own_network:
        decided |= set(syscalls.FLUSHES)
        for name in syscalls.FLUSHES:
            _add(rules, pyseccomp.ERRNO(0), name)
    if are_cores_piped:
        decided |= syscalls.CORES_ALLOWED.keys()
        for name, conditions in syscalls.CORES_ALLOWED.items():
            _add(rules, pyseccomp.ALLOW, name, conditions)
        for name, conditions in syscalls.CORES_REFUSED.items():
            _add(rules, pyseccomp.ERRNO(errno.EPERM), name, conditions)
    for name in (*syscalls.names(syscalls.SEEN), *syscalls.names(syscalls.UNSEEN)):
        if name not in decided:
            _add(rules, pyseccomp.ALLOW, name)
    for name, conditions in syscalls.BY_ARGUMENT.items():
        if name not in decided:
            _add(rules, pyseccomp.ALLOW, name, conditions)
    for number, refused in syscalls.REFUSED.items():
        for name in refused.split():
            _add(rules, pyseccomp.ERRNO(number), name)
    for name, number, conditions in syscalls.REFUSED_BY_ARGUMENT:
        _add(rules, pyseccomp.ERRNO(number), name, conditions)
    if has_own_network:
        _add(rules, pyseccomp.ALLOW, "socket", syscalls.SOCKETS)
        _add(rules, pyseccomp.ERRNO(errno.EPERM), "socket", syscalls.RAW_SOCKETS)
        _add(rules, pyseccomp.ALLOW, "socketpair", syscalls.SOCKETS[:1])
        for name in ("socket", "socketpair"):
            _add(rules, pyseccomp.ERRNO(errno.EAFNOSUPPORT), name, syscalls.OTHER_FAMILIES)
    for name, options in (("setsockopt", syscalls.OPTIONS_SET), ("getsockopt", syscalls.OPTIONS_GET)):
        _add(rules, pyseccomp.ALLOW, name, syscalls.options(options))
        _add(rules, pyseccomp.ERRNO(errno.ENOPROTOOPT), name, syscalls.options(syscalls.OPTIONS_UNKNOWN))
    _add(rules, pyseccomp.ERRNO(0), "setsockopt", syscalls.options(syscalls.OPTIONS_WITHOUT_EFFECT))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _restrict_on_the_machine(rules: pyseccomp.SyscallFilter, *, has_own_uid: bool) -> None:
    for name in syscalls.UNREACHABLE:
        _add(rules, pyseccomp.ERRNO(errno.EPERM), name)
    _add(rules, pyseccomp.ALLOW, "setpriority", syscalls.OWN_PRIORITY)
    for name in syscalls.CLOCKS:
        _add(rules, pyseccomp.ALLOW, name, syscalls.OWN_CLOCKS)
    _add(rules, pyseccomp.ALLOW, "socketpair", syscalls.PAIRS)
    for name in syscalls.ATTRIBUTES:
        # A list is empty.
        _add(rules, pyseccomp.ERRNO(0 if "list" in name else errno.EOPNOTSUPP), name)
    if has_own_uid:
        for name in syscalls.WITHOUT_EFFECT:
            _add(rules, pyseccomp.ALLOW, name)
        return
    for name in syscalls.WITHOUT_EFFECT:
        if name != "utimensat":
            _add(rules, pyseccomp.ERRNO(0), name)
    # By name and without times: Path.touch asks so first, and makes the file when it is refused.
    _add(rules, pyseccomp.ERRNO(errno.EPERM), "utimensat", [[(1, 0), (2, syscalls.ALL, 0)]])
    _add(rules, pyseccomp.ERRNO(0), "utimensat", [[(2, 0)], [(1, syscalls.ALL, 0)]])


def _add(
    rules: pyseccomp.SyscallFilter,
    action: int,
    name: str,
    conditions: Sequence[Sequence[syscalls.Condition]] = ((),),
) -> None:
    """A rule for a call, for each of the lists of conditions one."""
    for together in conditions:
        arguments = [
            pyseccomp.Arg(condition[0], pyseccomp.NE, condition[1])
            if len(condition) == 2
            else pyseccomp.Arg(condition[0], pyseccomp.MASKED_EQ, *condition[1:])
            for condition in together
        ]
        try:
            rules.add_rule(action, name, *arguments)
        except OSError as error:
            if error.errno != errno.EFAULT and error.errno != errno.EINVAL:
                raise
            # This architecture, or this libseccomp, has no call of that name: it stays at the default, refused.


def rlimits(
    limits: Limits,
    *,
    has_cgroup: bool,
    has_own_uid: bool,
    are_cores_piped: bool,
    baseline_bytes: int,
    other_processes: int,
) -> dict[str, int]:
    """The guest's rlimits by name. Without a cgroup they are all that bounds memory and processes.

    `baseline_bytes`: private memory of the zygote, which every guest has from birth. `other_processes`: what else is
    counted under the guest's uid.
    """
    values = {
        # A byte is no core, and keeps the machine's own program for cores from being started, which 0 does not.
        "RLIMIT_CORE": 1 if are_cores_piped else 0,
        # Where quotas of the kernel are the user's (epoll watches, descriptors in flight) a session has to leave some.
        "RLIMIT_NOFILE": 1024 if has_own_uid else 256,
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
    programs: list[tuple[str, str]] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)


_DEVICES = ("null", "full", "random", "urandom")
_ZERO = "/dev/zero"
_SHARED = (
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec/coreutils",  # stdbuf
    "/usr/sbin/ldconfig",  # ctypes.util.find_library asks it
    "/usr/include",
    "/usr/share/zoneinfo",
    "/usr/share/fonts",
    "/usr/share/locale",
    "/usr/share/misc",  # what file(1) knows
    "/usr/share/file",
    "/usr/share/mime",
    "/usr/share/perl",
    "/usr/share/perl5",
    "/usr/share/terminfo",
    "/usr/share/git-core",
    "/usr/share/python-wheels",  # venv
    "/usr/share/tcltk",
    "/etc/ssl/openssl.cnf",
    "/etc/mime.types",
    "/etc/protocols",
    "/etc/services",
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


def view(runtime: Path, base_prefix: Path, inside_zip: Path, *, has_memory_cgroup: bool) -> View:
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
        if (headers := base_prefix / "include").is_dir():
            shown.binds.append((str(headers), str(headers)))
    shown.binds.append((str(runtime), layout.RUNTIME))
    shown.binds.append((str(inside_zip), layout.INSIDE))
    shown.binds.extend((f"/dev/{name}", f"/dev/{name}") for name in _DEVICES)
    # Mapped, it is shared memory without a file. The other has the same to be read, and cannot be mapped.
    shown.binds.append((_ZERO if has_memory_cgroup else "/dev/full", _ZERO))
    shown.links.extend(
        [("/dev/fd", "/proc/self/fd"), ("/etc/os-release", "../usr/lib/os-release")]
        + [(f"/dev/std{n}", f"/proc/self/fd/{i}") for i, n in enumerate(("in", "out", "err"))]
    )
    shown.files.extend(_ETC.items())
    shown.programs.extend(
        (f"{layout.PROGRAMS}/{name}", text)
        for name, text in programs(f"{layout.RUNTIME}/bin/python", layout.INSIDE).items()
    )
    return shown


_OURS = "# The jail's own."
"""By which `python -m pip` knows it (`client/laid_pip.py`)."""


def programs(python: str, inside_zip: str) -> dict[str, str]:
    """Programs of ours that commands find, by name. The runtime's own go before them, and they before the machine's,
    whose pip is one of another Python, and waits for a network."""
    pip = f'#!/bin/sh\n{_OURS}\nexec {shlex.quote(python)} -I {shlex.quote(inside_zip)} pip "$@"\n'
    return {"pip": pip, "pip3": pip}


def readable(runtime: Path, base_prefix: Path, inside_zip: Path) -> list[str]:
    """The same of this machine for guests that share its root: what Landlock lets them read."""
    shown = view(runtime, base_prefix, inside_zip, has_memory_cgroup=True)
    return [source for source, _ in shown.binds if not source.startswith("/dev/")]


def devices(*, has_zero: bool) -> list[str]:
    """The devices that Landlock lets guests read and write, beside /dev/null."""
    return [f"/dev/{name}" for name in _DEVICES if name != "null"] + ([_ZERO] if has_zero else [])


def environment(cpus: float, places: Places) -> dict[str, str]:
    """The environment of the user's code: nothing of ours or the machine's."""
    threads = str(max(1, round(cpus)))
    return {
        "PATH": f"{places.runtime}/bin:{places.programs}:/usr/bin:/bin",
        "HOME": places.temporary,
        "USER": "user",
        "LOGNAME": "user",
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "TMPDIR": places.temporary,
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
        # Below fonts/ of these Pillow finds a font by its file's name.
        "XDG_DATA_DIRS": f"{places.runtime}/share:/usr/local/share:/usr/share",
        # Of pyarrow, and so of pandas: its own allocators reserve far more than is used, which RLIMIT_DATA counts.
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "OPENBLAS_NUM_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "INPUT_DIR": places.input,
    }


def zygote_environment(places: Places) -> dict[str, str]:
    """The environment in which libraries are imported."""
    return environment(1, places) | builds.ONE_THREAD | {"MPLCONFIGDIR": f"{places.temporary}/matplotlib"}
