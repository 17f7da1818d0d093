"""The seccomp filter by what it answers, not by how it is written; and the rest of what a guest may do."""

from __future__ import annotations

import errno
import platform
import struct
from pathlib import Path
from typing import Any

import bpf
import pyseccomp
import pytest

from belljar.keeper import policy
from belljar.keeper.boxes.outer import PLACES
from belljar.records import MIB, Limits

ENOSYS, EPERM = bpf.ERRNO | errno.ENOSYS, bpf.ERRNO | errno.EPERM
EAFNOSUPPORT = bpf.ERRNO | errno.EAFNOSUPPORT
_ARCHES = {"x86_64": pyseccomp.Arch.X86_64, "aarch64": pyseccomp.Arch.AARCH64}


class Filter:
    """The filter that guests of one architecture get."""

    def __init__(
        self, architecture: str, *, has_memory_cgroup: bool = True, are_cores_piped: bool = False
    ) -> None:
        self.architecture = architecture
        self.program = policy.filter_program(
            has_memory_cgroup=has_memory_cgroup,
            has_own_network=True,
            has_own_uid=True,
            are_cores_piped=are_cores_piped,
        )

    def __call__(self, name: str | int, *arguments: int) -> int:
        number = name if isinstance(name, int) else self.number(name)
        assert number >= 0, f"{self.architecture} has no {name}"
        return bpf.answer(self.program, number, *arguments, architecture=bpf.ARCHITECTURES[self.architecture])

    def number(self, name: str) -> int:
        return pyseccomp.resolve_syscall(_ARCHES[self.architecture], name)


@pytest.fixture(params=["x86_64", "aarch64"])
def answer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Filter:
    architecture: str = request.param
    if architecture != platform.machine():
        real = pyseccomp.SyscallFilter

        def foreign(default: Any) -> Any:
            rules = real(default)
            rules.add_arch(_ARCHES[architecture])
            rules.remove_arch(_ARCHES[platform.machine()])
            return rules

        monkeypatch.setattr(pyseccomp, "SyscallFilter", foreign)
    return Filter(architecture)


def test_the_kernel_would_take_it(answer: Filter) -> None:
    assert len(answer.program) % 8 == 0
    assert 50 < len(answer.program) // 8 < bpf.MAX_INSTRUCTIONS


@pytest.mark.parametrize("name", "read write openat mmap futex execve wait4 exit_group getrandom".split())
def test_what_every_program_needs_is_allowed(answer: Filter, name: str) -> None:
    assert answer(name) == bpf.ALLOW


@pytest.mark.parametrize(
    "name",
    """
    ptrace process_vm_readv process_vm_writev kcmp mount umount2 pivot_root chroot setns unshare open_tree
    move_mount fsopen fsmount fsconfig fspick mount_setattr open_by_handle_at name_to_handle_at bpf
    perf_event_open keyctl add_key request_key init_module finit_module delete_module reboot swapon swapoff
    acct sethostname setdomainname settimeofday clock_settime adjtimex syslog quotactl personality
    capset seccomp vmsplice userfaultfd setgroups
    """.split(),
)
def test_what_attackers_try_is_refused(answer: Filter, name: str) -> None:
    assert answer(name) == EPERM


@pytest.mark.parametrize(
    "name",
    """
    clone3 io_uring_setup io_uring_enter io_uring_register io_setup pidfd_getfd process_madvise memfd_secret
    fanotify_init inotify_init1 cachestat migrate_pages move_pages mbind set_mempolicy mq_open shmget semget
    msgget landlock_create_ruleset kexec_file_load vhangup lookup_dcookie
    """.split(),
)
def test_what_is_not_listed_does_not_exist(answer: Filter, name: str) -> None:
    assert answer(name) == ENOSYS


def test_a_call_that_no_kernel_has_yet_does_not_exist(answer: Filter) -> None:
    for number in (600, 1000, 0x3FFFFFFF):
        assert answer(number) == ENOSYS


def test_x32_numbers_get_nowhere(answer: Filter) -> None:
    for name in ("read", "openat", "ptrace", "execve"):
        assert answer(0x40000000 | answer.number(name)) != bpf.ALLOW


def test_another_architectures_calls_kill(answer: Filter) -> None:
    for foreign in set(bpf.ARCHITECTURES) - {answer.architecture}:
        seen = bpf.answer(answer.program, 1, architecture=bpf.ARCHITECTURES[foreign])
        assert seen == bpf.KILL_PROCESS


@pytest.mark.parametrize(
    "flag",
    {
        "NEWTIME": 0x80,
        "NEWNS": 0x20000,
        "NEWCGROUP": 0x2000000,
        "NEWUTS": 0x4000000,
        "NEWIPC": 0x8000000,
        "NEWUSER": 0x10000000,
        "NEWPID": 0x20000000,
        "NEWNET": 0x40000000,
        "PTRACE": 0x2000,
        "PARENT": 0x8000,
        "UNTRACED": 0x800000,
    }.items(),
    ids=lambda item: item[0],
)
def test_clone_makes_processes_and_threads_but_no_namespaces(answer: Filter, flag: tuple[str, int]) -> None:
    fork, thread = 17, 0x3D0F00
    for plain in (fork, thread):
        assert answer("clone", plain) == bpf.ALLOW
        assert answer("clone", plain | flag[1]) == ENOSYS
        # The kernel looks at the lower half only, and so an upper half changes nothing.
        assert answer("clone", plain | flag[1] | 1 << 40) == ENOSYS


@pytest.mark.parametrize("name", ["socket", "socketpair"])
def test_sockets_are_unix_sockets_and_those_of_the_loopback(answer: Filter, name: str) -> None:
    assert answer(name, 1, 1) == bpf.ALLOW
    for family in set(range(64)) - {1, 2, 10}:
        for kind in (1, 2, 3, 1 | 0x80000):
            assert answer(name, family, kind) == EAFNOSUPPORT, family
    # A family in the half that the kernel reads, with anything in the other
    assert answer(name, 16 | 1 << 32, 3) != bpf.ALLOW
    assert answer(name, 1 << 20, 1) != bpf.ALLOW


def test_the_internet_families_speak_tcp_and_udp_only(answer: Filter) -> None:
    flags = 0x80800  # SOCK_CLOEXEC | SOCK_NONBLOCK
    for family in (2, 10):
        assert answer("socketpair", family, 1, 0) != bpf.ALLOW
        for kind in range(16):
            for protocol in (*range(300), 0x7FFFFFFF):
                honest = (kind, protocol) in {(1, 0), (1, 6), (2, 0), (2, 17)}
                for upper in (0, 1 << 32):
                    said = answer("socket", family | upper, kind | flags, protocol | upper)
                    assert (said == bpf.ALLOW) == honest, (family, kind, protocol)
        assert answer("socket", family, 3, 1) == EPERM


def test_options_of_sockets_are_those_of_honest_programs(answer: Filter) -> None:
    for level, option in ((1, 2), (1, 9), (6, 1), (41, 26), (0, 2)):
        assert answer("setsockopt", 5, level, option) == bpf.ALLOW
        assert answer("getsockopt", 5, level, option) == bpf.ALLOW
    refused = {
        "SO_DEBUG": (1, 1), "SO_BINDTODEVICE": (1, 25), "SO_ATTACH_FILTER": (1, 26), "SO_SNDBUFFORCE": (1, 32),
        "SO_MARK": (1, 36), "SO_BUSY_POLL": (1, 46), "SO_ATTACH_BPF": (1, 50), "SO_ZEROCOPY": (1, 60),
        "SO_PEERPIDFD": (1, 77), "IP_ADD_MEMBERSHIP": (0, 35), "IPT_SO_SET_REPLACE": (0, 64), "IP_HDRINCL": (0, 3),
        "IP6T_SO_SET_REPLACE": (41, 64), "TCP_CONGESTION": (6, 13), "TCP_REPAIR": (6, 19), "TCP_FASTOPEN": (6, 23),
        "TCP_ULP": (6, 31), "TCP_ZEROCOPY_RECEIVE": (6, 35), "UDP_SEGMENT": (17, 103), "SOL_TLS": (282, 1),
        "SOL_ALG": (279, 1),
    }  # fmt: skip
    for name, (level, option) in refused.items():
        for upper in (0, 1 << 32):
            assert answer("setsockopt", 5, level | upper, option | upper) != bpf.ALLOW, name
            assert answer("getsockopt", 5, level | upper, option | upper) != bpf.ALLOW, name


def test_options_that_would_cost_others_something_are_answered_and_not_set(answer: Filter) -> None:
    for option in (8, 13, 18):  # SO_RCVBUF, SO_LINGER, SO_RCVLOWAT
        assert answer("setsockopt", 5, 1, option) == bpf.ERRNO
        assert answer("getsockopt", 5, 1, option) == bpf.ALLOW


def test_named_pipes_and_plain_files_can_be_made_and_no_devices(answer: Filter) -> None:
    for kind, said in (
        (0, bpf.ALLOW), (0o100000, bpf.ALLOW), (0o010000, bpf.ALLOW),
        (0o020000, EPERM), (0o060000, EPERM), (0o140000, EPERM),
    ):  # fmt: skip
        for upper in (0, 1 << 32):
            assert answer("mknodat", 3, 0, kind | 0o644 | upper) == said, oct(kind)


def test_huge_pages_are_the_machines(answer: Filter) -> None:
    assert answer("mmap", 0, 4096, 3, 0x22) == bpf.ALLOW
    for flags in (0x40022, 0x40022 | 21 << 26, 0x40022 | 1 << 32):
        assert answer("mmap", 0, 4096, 3, flags) == bpf.ERRNO | errno.ENOMEM
    assert answer("memfd_create", 0, 3) == bpf.ALLOW
    assert answer("memfd_create", 0, 4) == ENOSYS


def test_nobody_asks_what_is_in_the_page_cache(answer: Filter) -> None:
    for flags in (0, 1, 2, 4, 0x10):
        assert answer("preadv2", 3, 0, 1, 0, 0, flags) == bpf.ALLOW
    for flags in (8, 9, 0x20, 8 | 1 << 32):  # RWF_NOWAIT; and flags of later kernels
        assert answer("preadv2", 3, 0, 1, 0, 0, flags) == ENOSYS
    for name in ("mincore", "cachestat", "readahead"):
        assert answer(name) == ENOSYS


def test_advice_on_memory_reaches_nobody_else(answer: Filter) -> None:
    for advice in (4, 8, 14):
        assert answer("madvise", 0, 4096, advice) == bpf.ALLOW
    for name, advice in {
        "MERGEABLE": 12,
        "COLD": 20,
        "PAGEOUT": 21,
        "HWPOISON": 100,
        "SOFT_OFFLINE": 101,
    }.items():
        assert answer("madvise", 0, 4096, advice) == ENOSYS, name


def test_ioctls_are_those_of_a_terminal_that_only_asks(answer: Filter) -> None:
    for number in (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451):
        assert answer("ioctl", 0, number) == bpf.ALLOW
    for name, number in {
        "TIOCSTI": 0x5412,
        "TIOCLINUX": 0x541C,
        "TIOCSCTTY": 0x540E,
        "TCSETS": 0x5402,
        "FS_IOC_SETFLAGS": 0x40086602,
        "FICLONE": 0x40049409,
        "SIOCGIFCONF": 0x8912,
        "NS_GET_PARENT": 0xB702,
    }.items():
        assert answer("ioctl", 0, number) != bpf.ALLOW, name
        assert answer("ioctl", 0, number | 1 << 32) != bpf.ALLOW, name


def test_prctl_changes_nothing_of_the_lock(answer: Filter) -> None:
    for option in (2, 3, 15, 16, 38):
        assert answer("prctl", option) == bpf.ALLOW
    for name, option in {
        "PR_SET_PDEATHSIG": 1,
        "PR_SET_KEEPCAPS": 8,
        "PR_SET_SECCOMP": 22,
        "PR_CAPBSET_DROP": 24,
        "PR_SET_SECUREBITS": 28,
        "PR_SET_MM": 35,
        "PR_SET_CHILD_SUBREAPER": 36,
        "PR_SET_PTRACER": 0x59616D61,
        "PR_SCHED_CORE": 62,
        "PR_SET_MDWE": 65,
    }.items():
        assert answer("prctl", option) != bpf.ALLOW, name
    assert answer("prctl", 0x53564D41) == bpf.ERRNO | errno.EINVAL  # PR_SET_VMA: names that no cgroup counts
    assert answer("prctl", 4, 0) == bpf.ERRNO  # PR_SET_DUMPABLE: it is not
    for dumpable in (1, 2, 1 << 32):
        assert answer("prctl", 4, dumpable) == ENOSYS


def test_only_the_keeper_lets_a_stopped_session_go_on(answer: Filter) -> None:
    sigcont = 18
    for number in range(1, 65):
        assert (answer("kill", 2, number) == bpf.ALLOW) == (number != sigcont)
        assert (answer("tgkill", 2, 2, number) == bpf.ALLOW) == (number != sigcont)
        # The kernel reads an int.
        assert (answer("kill", 2, number | 1 << 32) == bpf.ALLOW) == (number != sigcont)
        assert (answer("pidfd_send_signal", 5, number) == bpf.ALLOW) == (number != sigcont)
    for name in ("tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "timer_create"):
        assert answer(name) != bpf.ALLOW, name
    for command in (8, 10, 15, 1024, 1026):  # F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY
        assert answer("fcntl", 0, command) != bpf.ALLOW
    for command in (0, 1, 2, 3, 4, 5, 6, 7, 1030):
        assert answer("fcntl", 0, command) == bpf.ALLOW


def test_what_no_limit_counts_is_not_to_be_had(answer: Filter) -> None:
    more, dontwait = 0x8000, 0x40
    for name, place in {"sendto": 3, "sendmsg": 2, "sendmmsg": 3}.items():
        arguments = [0] * 6
        for flags in (0, dontwait):
            arguments[place] = flags
            assert answer(name, *arguments) == bpf.ALLOW
        for flags in (more, more | dontwait, 1 << 32 | more):
            arguments[place] = flags
            assert answer(name, *arguments) == ENOSYS
    for command in (36, 37, 38):  # F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW
        assert answer("fcntl", 0, command) == ENOSYS


def test_what_others_share_is_not_flushed_or_forgotten(answer: Filter) -> None:
    for name in ("fsync", "fdatasync"):
        assert answer(name, 3) == bpf.ERRNO  # it says that it did
    assert answer("fadvise64", 3, 0, 0, 4) == bpf.ERRNO  # POSIX_FADV_DONTNEED
    for advice in (0, 1, 2, 3, 5):
        assert answer("fadvise64", 3, 0, 0, advice) == bpf.ALLOW


def test_memory_in_no_address_space_needs_a_cgroup_that_counts_it() -> None:
    machine = platform.machine()
    assert Filter(machine, has_memory_cgroup=True)("memfd_create") == bpf.ALLOW
    uncounted = Filter(machine, has_memory_cgroup=False)
    assert uncounted("memfd_create") == ENOSYS
    for flags in (
        0x21,
        0x23,
        0x4021,
        0x21 | 1 << 32,
    ):  # MAP_SHARED and MAP_SHARED_VALIDATE with MAP_ANONYMOUS
        assert Filter(machine, has_memory_cgroup=True)("mmap", 0, 4096, 3, flags) == bpf.ALLOW
        assert uncounted("mmap", 0, 4096, 3, flags) == bpf.ERRNO | errno.EPERM
    for flags in (0x01, 0x02, 0x03, 0x22, 0x4022):
        assert uncounted("mmap", 0, 4096, 3, flags) == bpf.ALLOW
    assert uncounted("mmap", 0, 4096, 3, 0x40022) == bpf.ERRNO | errno.ENOMEM


def test_limits_are_for_oneself(answer: Filter) -> None:
    assert answer("prlimit64", 0) == bpf.ALLOW
    for other in (1, 0x7FFFFFFF, 0xFFFFFFFF):
        assert answer("prlimit64", other) == EPERM


def test_a_limit_on_cores_stays_where_a_program_of_the_machine_takes_them_in(answer: Filter) -> None:
    pointer, cores = 0x7F0000001000, 4
    answer.program = Filter(answer.architecture, are_cores_piped=True).program
    for resource in range(16):
        assert answer("prlimit64", 0, resource, 0, pointer) == bpf.ALLOW
        for other in (1, 0x7FFFFFFF, 0xFFFFFFFF):
            assert answer("prlimit64", other, resource, 0, pointer) == EPERM
        expected = EPERM if resource == cores else bpf.ALLOW
        for address in (pointer, 1 << 40, 8):
            assert answer("prlimit64", 0, resource, address, 0) == expected
            assert answer("prlimit64", 0, 1 << 32 | resource, address, 0) == expected
        if answer.number("setrlimit") > 0:
            assert answer("setrlimit", resource, pointer) == expected


@pytest.mark.parametrize("name", ["clock_gettime", "clock_getres", "clock_nanosleep"])
@pytest.mark.parametrize("has_own_uid", [True, False])
def test_clocks_on_the_machine_itself_are_ones_own(name: str, has_own_uid: bool) -> None:
    program = policy.filter_program(
        has_memory_cgroup=False, has_own_network=False, has_own_uid=has_own_uid, are_cores_piped=False
    )
    number = pyseccomp.resolve_syscall(_ARCHES[platform.machine()], name)

    def answer(clock: int) -> int:
        architecture = bpf.ARCHITECTURES[platform.machine()]
        return bpf.answer(program, number, clock & 0xFFFFFFFF, architecture=architecture)

    for clock in (0, 1, 2, 3, 11, (~0 << 3) | 2, (~0 << 3) | 6, (~1234 << 3) | 6):
        assert answer(clock) == bpf.ALLOW, clock
    for pid in (1, 2, 1234, 1 << 21):
        for kind in (0, 1, 2, 3):
            assert answer((~pid << 3) | kind) == ENOSYS


def test_the_numbers_are_those_that_the_kernel_reads(answer: Filter) -> None:
    """A cross-check of this file's own means: openat2, close_range and clone3 have one number everywhere."""
    assert [answer.number(name) for name in ("openat2", "close_range", "clone3")] == [437, 436, 435]
    assert struct.calcsize("=iIQ6Q") == 64


# -- rlimits, view, environment ----------------------------------------------------------------------------


def test_rlimits_stand_in_where_there_is_no_cgroup() -> None:
    limits = Limits(memory_bytes=100 * MIB, pids=20, disk_bytes=5 * MIB)
    with_cgroup = policy.rlimits(
        limits,
        has_cgroup=True,
        has_own_uid=True,
        are_cores_piped=False,
        baseline_bytes=7 * MIB,
        other_processes=1,
    )
    alone = policy.rlimits(
        limits,
        has_cgroup=False,
        has_own_uid=True,
        are_cores_piped=False,
        baseline_bytes=7 * MIB,
        other_processes=1,
    )
    assert with_cgroup["RLIMIT_CORE"] == 0
    assert with_cgroup["RLIMIT_FSIZE"] == 5 * MIB
    assert "RLIMIT_DATA" not in with_cgroup
    assert alone["RLIMIT_DATA"] == 107 * MIB
    assert alone["RLIMIT_NPROC"] == 21
    assert with_cgroup.items() <= alone.items()
    piped = policy.rlimits(
        limits,
        has_cgroup=True,
        has_own_uid=True,
        are_cores_piped=True,
        baseline_bytes=0,
        other_processes=1,
    )
    assert piped["RLIMIT_CORE"] == 1


def test_the_view_shows_programs_and_libraries_only(tmp_path: Path) -> None:
    shown = policy.view(tmp_path / "runtime", Path("/usr"), tmp_path / "inside.zip", has_memory_cgroup=True)
    for source, _ in shown.binds:
        if source.startswith(str(tmp_path)):
            continue
        assert source.split("/")[1] in ("bin", "sbin", "lib", "lib64", "lib32", "usr", "etc", "dev"), source
        assert source not in ("/usr", "/etc", "/dev", "/usr/local", "/usr/share")
        assert not source.startswith(
            ("/etc/passwd", "/etc/shadow", "/etc/ssl/private", "/dev/shm", "/dev/pts")
        )


def test_the_view_of_an_interpreter_elsewhere_is_its_own_tree(tmp_path: Path) -> None:
    base = tmp_path / "python"
    shown = policy.view(tmp_path / "runtime", base, tmp_path / "inside.zip", has_memory_cgroup=True)
    own = [source for source, _ in shown.binds if source.startswith(str(base))]
    assert own == [f"{base}/bin", f"{base}/lib"]
    (base / "include").mkdir(parents=True)
    shown = policy.view(tmp_path / "runtime", base, tmp_path / "inside.zip", has_memory_cgroup=True)
    assert (f"{base}/include", f"{base}/include") in shown.binds


def test_what_could_be_mapped_as_memory_of_no_file_is_not_shown_where_nobody_counts_it(
    tmp_path: Path,
) -> None:
    for has_memory_cgroup, source in ((True, "/dev/zero"), (False, "/dev/full")):
        shown = policy.view(
            tmp_path / "runtime", Path("/usr"), tmp_path / "inside.zip", has_memory_cgroup=has_memory_cgroup
        )
        assert [found for found, name in shown.binds if name == "/dev/zero"] == [source]


def test_the_environment_holds_nothing_of_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.setenv("HOME", "/root")
    seen = policy.environment(2.0, PLACES)
    assert seen["HOME"] == "/tmp"
    assert seen["OMP_NUM_THREADS"] == "2"
    assert "secret" not in str(seen)
    assert policy.environment(0.05, PLACES)["OMP_NUM_THREADS"] == "1"


def test_without_a_cpu_cgroup_sessions_take_processors_in_turn() -> None:
    assert policy.processors(1, 0, {0, 1, 2}) == [0]
    assert policy.processors(1, 4, {0, 1, 2}) == [1]
    assert policy.processors(1.5, 1, {0, 1, 2}) == [2, 0]
    assert policy.processors(0.05, 3, {7}) == [7]
    assert policy.processors(64, 1, {0, 1}) == [0, 1]


def test_on_the_machine_itself_what_landlock_leaves_open_is_refused(answer: Filter) -> None:
    answer.program = policy.filter_program(
        has_memory_cgroup=False, has_own_network=False, has_own_uid=False, are_cores_piped=False
    )
    for name in ("connect", "bind", "listen", "accept4", "pidfd_open", "sched_setaffinity"):
        assert answer(name) == EPERM, name
    assert answer("socket", 1, 1, 0) == EPERM
    for kind, said in (
        (1, bpf.ALLOW),
        (1 | 0x80000, bpf.ALLOW),
        (5, bpf.ALLOW),
        (2, ENOSYS),
        (2 | 0x800, ENOSYS),
    ):
        assert answer("socketpair", 1, kind, 0) == said, kind
    assert answer("socketpair", 2, 1, 0) == ENOSYS
    for name in ("fchmod", "fchmodat", "fchownat"):
        assert answer(name) == bpf.ERRNO, name  # success, and nothing done
    path, times = 0x7F00_0000_0000, 0x7F01_0000_0000
    assert answer("utimensat", 3, path, times) == bpf.ERRNO
    assert answer("utimensat", 3, 0, 0) == bpf.ERRNO
    assert answer("utimensat", 3, path, 0) == EPERM  # Path.touch then makes the file
    assert answer("setpriority", 0, 0, 5) == bpf.ALLOW
    assert answer("setpriority", 0, 77, 5) == ENOSYS
    assert answer("setpriority", 2, 0, 5) == ENOSYS


def test_with_a_uid_of_its_own_a_guest_may_change_its_own_files(answer: Filter) -> None:
    answer.program = policy.filter_program(
        has_memory_cgroup=True, has_own_network=False, has_own_uid=True, are_cores_piped=False
    )
    assert answer("fchmodat") == bpf.ALLOW
    assert answer("connect") == EPERM
    assert answer("sched_setaffinity") == bpf.ALLOW
