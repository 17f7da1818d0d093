"""Lock the guest down, from inside, in the one order that works. After `lock` there is no way back.

1. join the box             namespaces: its processes, its mounts, its (empty) network
2. descriptors              nothing but stdin (empty), stdout, stderr and the control socket
3. identity                 a uid of its own, no capability, then the parent-death signal
4. rlimits                  what no cgroup counts
5. no_new_privs             exec gains nothing any more
6. Landlock                 files, TCP, signals and abstract sockets a second time, by another mechanism
7. seccomp                  last, because all of the above needs calls that it refuses
8. Python's own state       what a fork shares and must not
"""

from __future__ import annotations

import fcntl
import os
import random
import resource
import signal
import sys
import time
from typing import Any, NamedTuple

from belljar import kernel
from belljar.kernel import Landlock

CONTROL_FD = 3
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


class Descriptors(NamedTuple):
    control: int
    box: int


def descriptors(sock: int, out: int, err: int, box: int) -> Descriptors:
    """Put the guest's descriptors in their places and close all others."""
    # First out of the way of the numbers that they are to have, whatever numbers they came with.
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for fd in (sock, box, out, err)]
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(high[2], 1)
    os.dup2(high[3], 2)
    os.dup2(high[0], CONTROL_FD, inheritable=False)
    os.dup2(high[1], CONTROL_FD + 1, inheritable=False)
    kernel.close_range(CONTROL_FD + 2)
    return Descriptors(CONTROL_FD, CONTROL_FD + 1)


def lock(packet: dict[str, Any], program: bytes, box: int) -> dict[str, float]:
    """Steps 1 and 3 to 8. Returns what each took, in seconds."""
    laps: dict[str, float] = {}
    at = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal at
        now = time.perf_counter()
        laps[name] = now - at
        at = now

    kernel.setns(box, kernel.NAMESPACES & ~kernel.CLONE_NEWPID)
    os.close(box)
    os.setsid()
    os.chdir(packet["cwd"])
    os.umask(0o022)
    lap("join")
    guest_id = packet["guest_id"]
    kernel.drop_bounding_set()
    if packet["has_root"]:
        os.setresgid(guest_id, guest_id, guest_id)
        os.setresuid(guest_id, guest_id, guest_id)
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    for name, value in packet["rlimits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    lap("identity")
    _restrict_files()
    lap("landlock")
    kernel.install_filter(program)
    lap("filter")
    _own_state(packet)
    lap("state")
    return laps


def _restrict_files() -> None:
    rules = Landlock()
    rules.allow("/", Landlock.READ_FILE | Landlock.READ_DIR | Landlock.EXECUTE)
    for directory in ("/files", "/tmp", "/dev/shm"):
        rules.allow(directory, rules.handled & ~(Landlock.MAKE_CHAR | Landlock.MAKE_BLOCK))
    for device in _DEVICES:
        rules.allow(device, Landlock.READ_FILE | Landlock.WRITE_FILE)
    rules.restrict_self()


def _own_state(packet: dict[str, Any]) -> None:
    """Give the forked interpreter a state that no other guest has."""
    random.seed()
    loaded: Any = sys.modules.get
    if numpy_random := loaded("numpy.random"):
        numpy_random.seed(int.from_bytes(os.urandom(4)))
    if sympy_random := loaded("sympy.core.random"):
        sympy_random.seed(int.from_bytes(os.urandom(8)))
    if tempfile := loaded("tempfile"):
        tempfile._name_sequence = None
        tempfile.tempdir = None
    if process := loaded("multiprocessing.process"):
        process.current_process().authkey = os.urandom(32)
    if ssl := loaded("_ssl"):
        ssl.RAND_add(os.urandom(32), 32.0)
    kernel.libc.srand(int.from_bytes(os.urandom(4)))
    kernel.libc.srandom(int.from_bytes(os.urandom(4)))
    os.environ.clear()
    os.environ.update(packet["env"])
    time.tzset()
