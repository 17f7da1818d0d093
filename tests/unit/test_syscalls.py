"""The policy against what the runtime's libraries and ordinary programs were seen to call."""

from __future__ import annotations

import errno
import platform
from pathlib import Path

import bpf
import pyseccomp
import pytest

from belljar.keeper import policy, syscalls

COLLECTED = Path(__file__).parents[1] / "sandbox" / "libraries" / "collected.txt"

REFUSED_ON_PURPOSE = {
    "clone3": "its flags lie in memory; libc falls back to clone, which the collection could see only so",
    "mbind": "where memory lies is not a guest's business; OpenBLAS goes on without",
    "fsync": "files of a box are in memory: it is answered, and nothing is flushed",
    "fdatasync": "as fsync",
    "sync": "of all disks of the machine; os.sync() has no result",
    "timer_create": "it could send SIGCONT; timeout(1) falls back to alarm",
    "timer_settime": "as timer_create",
    "pkey_alloc": "keys of memory; rsync and others ask whether there are any",
    "setxattr": "attributes are kernel memory; cp and tar go on without",
    "fsetxattr": "as setxattr",
    "removexattr": "as setxattr",
    "clock_settime": "the clock is the machine's; date(1) says so",
    "ioctl 0x40049409": "FICLONE: cp falls back to a copy",
    "ioctl 0x40045431": "TIOCSPTLCK: there are no terminals",
    "ioctl 0x80045430": "TIOCGPTN: as above",
    "ioctl 0x5441": "TIOCGPTPEER: as above",
    "ioctl 0x540f": "TIOCGPGRP: bash asks whether it has a terminal",
    "ioctl 0x8912": "SIOCGIFCONF: uuid asks for the addresses of the network's cards",
    "ioctl 0x8927": "SIOCGIFHWADDR: as above",
    "kill 0x12": "SIGCONT is the keeper's",
}
"""What was called and is refused, and why nothing is lost by it."""

# The argument that each number in a line of the collection is, by name of the call.
PLACES = {
    "socket": (0, 1, 2),
    "socketpair": (0, 1, 2),
    "setsockopt": (1, 2),
    "getsockopt": (1, 2),
    "ioctl": (1,),
    "fcntl": (1,),
    "prctl": (0,),
    "arch_prctl": (0,),
    "clone": (0,),
    "madvise": (2,),
    "futex": (1,),
    "kill": (1,),
    "tgkill": (2,),
    "memfd_create": (1,),
    "mmap": (3,),
}


def _lines() -> list[str]:
    lines = COLLECTED.read_text().splitlines()
    return [line.partition("\t")[0] for line in lines if not line.startswith("#")]


LINES = _lines()


@pytest.fixture(scope="module")
def program() -> bytes:
    if platform.machine() != "x86_64":
        pytest.skip("the collection was made on x86-64, and is compared with the filter of x86-64")
    return policy.filter_program(
        has_memory_cgroup=True, has_own_network=True, has_own_uid=True, are_cores_piped=False
    )


@pytest.mark.parametrize("line", LINES)
def test_what_was_seen_is_allowed_or_refused_on_purpose(program: bytes, line: str) -> None:
    name, *values = line.split()
    arguments = [0] * 6
    if name in ("mknod", "mknodat"):
        arguments[2] = 0o010644
    for place, value in zip(PLACES.get(name, ()), values, strict=False):
        arguments[place] = int(value, 16)
    if name == "clone":
        arguments[0] |= 17 if not arguments[0] & 0x100 or arguments[0] & 0x4000 else 0
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.X86_64, name)
    said = bpf.answer(program, number, *arguments, architecture=bpf.ARCHITECTURES["x86_64"])
    assert (said == bpf.ALLOW) != (line in REFUSED_ON_PURPOSE or name in REFUSED_ON_PURPOSE)


def test_nothing_is_refused_on_purpose_that_nobody_called() -> None:
    names = {line.split()[0] for line in LINES}
    assert {reason for reason in REFUSED_ON_PURPOSE if reason not in LINES and reason not in names} == set()


def test_the_tables_are_the_union_of_what_was_seen_and_little_else() -> None:
    names = {line.split()[0] for line in LINES}
    seen, unseen = syscalls.names(syscalls.SEEN), syscalls.names(syscalls.UNSEEN)
    assert set(seen) <= names
    assert not set(unseen) & names
    assert len(unseen) < len(seen) / 3
    everything = [*seen, *unseen, *syscalls.BY_ARGUMENT]
    assert len(everything) == len(set(everything))
    assert all(reason for table in (syscalls.SEEN, syscalls.UNSEEN) for reason in table.values())


def test_no_option_of_sockets_is_both_known_and_unknown() -> None:
    known = {
        (level, option)
        for table in (syscalls.OPTIONS_SET, syscalls.OPTIONS_GET)
        for level, options in table.items()
        for option in options
    }
    unknown = {(level, option) for level, options in syscalls.OPTIONS_UNKNOWN.items() for option in options}
    assert not known & unknown


def test_what_a_program_asks_of_a_terminal_or_a_socket_is_answered_as_it_expects(program: bytes) -> None:
    """Refused as before: with the number that says why, and not as if the call did not exist."""

    def said(name: str, *arguments: int) -> int:
        number = pyseccomp.resolve_syscall(pyseccomp.Arch.X86_64, name)
        return bpf.answer(program, number, *arguments, architecture=bpf.ARCHITECTURES["x86_64"])

    def refused(number: int) -> int:
        return 0x00050000 | number  # SECCOMP_RET_ERRNO

    for request in (0x5402, 0x540B, 0x540F, 0x5429, 0x802C542A, 0x80045430):
        assert said("ioctl", 0, request, 0, 0, 0, 0) == refused(errno.ENOTTY)
    for request in (0x5412, 0x541C, 0x540E):  # TIOCSTI, TIOCLINUX, TIOCSCTTY: nobody asks these and goes on
        assert said("ioctl", 0, request, 0, 0, 0, 0) == refused(errno.ENOSYS)
    for request in (0x5401, 0x5413):
        assert said("ioctl", 0, request, 0, 0, 0, 0) == bpf.ALLOW
    for name in ("setsockopt", "getsockopt"):
        for level, options in syscalls.OPTIONS_UNKNOWN.items():
            for option in options:
                assert said(name, 3, level, option, 0, 0, 0) == refused(errno.ENOPROTOOPT)
        for level, options in syscalls.OPTIONS_SET.items():
            for option in options:
                assert said(name, 3, level, option, 0, 0, 0) == bpf.ALLOW
        assert said(name, 3, 1, 999, 0, 0, 0) == refused(errno.ENOSYS)
