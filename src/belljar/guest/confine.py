"""Lock the guest down, from inside, in the one order that works. After `lock` there is no way back.

1. join the box             namespaces: its processes, its mounts, its (empty) network; where there are boxes.
                            Its first guest furnishes it
2. descriptors              nothing but stdin (empty), stdout, stderr and the control socket
   attached                 wait until the keeper has put us into our cgroup
3. identity                 a uid of its own, no capability, then the parent-death signal
4. rlimits                  what no cgroup counts
5. no_new_privs             exec gains nothing any more
6. Landlock                 files, TCP, signals and abstract sockets a second time, by another mechanism
7. seccomp                  last, because all of the above needs calls that it refuses
8. Python's own state       what a fork shares and must not
"""

from __future__ import annotations

import fcntl
import gc
import os
import random
import resource
import signal
import sys
import time
from typing import Any

from belljar import kernel
from belljar.guest.furnish import furnish
from belljar.kernel import Landlock

CONTROL_FD = 3
BOX_FD = 4
ROOT_FD = 5
ATTACHED = b"a"


def descriptors(out: int, err: int, control: int, *box: int) -> None:
    """Put the guest's descriptors in their places, its box (a pidfd of its pid 1, and its root where it has had a guest
    before) behind `CONTROL_FD`, and close all others."""
    # First out of the way of the numbers that they are to have, whatever numbers they came with.
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for fd in (out, err, control, *box)]
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    for place, fd in enumerate(moved, 1):
        os.dup2(fd, place, inheritable=place < CONTROL_FD)
    kernel.close_range(len(moved) + 1)


def lock(packet: dict[str, Any], program: kernel.Filter, *, has_box: bool) -> dict[str, float]:
    """Steps 1 and 3 to 8. Returns what each took, in seconds."""
    confinement = packet["confinement"]
    laps: dict[str, float] = {}
    at = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal at
        now = time.perf_counter()
        laps[name] = now - at
        at = now

    if has_box:
        kernel.setns(BOX_FD, kernel.HELD_BY_PID1 & ~kernel.CLONE_NEWPID)
        os.close(BOX_FD)
        kernel.unshare(kernel.CLONE_NEWNS)
        lap("join")
        if furniture := confinement["furniture"]:
            furnish(furniture)
            kernel.hide_mounts()
        else:
            kernel.enter_root(ROOT_FD)
    os.setsid()
    os.chdir(packet["cwd"])
    os.umask(0o022)
    lap("furniture")
    # The keeper's word that we are in our cgroup: from there it is the root of all that we see of cgroups.
    if os.read(CONTROL_FD, 1) != ATTACHED:
        os._exit(0)
    if has_box:
        kernel.unshare(kernel.CLONE_NEWCGROUP)
    lap("attached")
    _drop_power(confinement, has_box=has_box)
    for name, value in packet["rlimits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if packet["processors"]:
        os.sched_setaffinity(0, packet["processors"])
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    lap("identity")
    _restrict_files(confinement, has_box=has_box)
    lap("landlock")
    program.install()
    lap("filter")
    _own_state()
    lap("state")
    return laps


def _drop_power(confinement: dict[str, Any], *, has_box: bool) -> None:
    identity = confinement["identity"]
    if has_box or identity is not None:
        kernel.drop_bounding_set()  # else it is not ours to drop, and no_new_privs has to do
    if identity is not None:
        if not has_box:
            os.setgroups([])  # in a box there are none left
        os.setresgid(identity, identity, identity)
        os.setresuid(identity, identity, identity)
    kernel.drop_capabilities()
    # Without a box and with the keeper's own uid, the keeper has no other right to see how much memory we use.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0 if has_box or identity is not None else 1)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)


def _restrict_files(confinement: dict[str, Any], *, has_box: bool) -> None:
    # The network of a box is its own, and empty.
    rules = Landlock(refuses_tcp=not has_box)
    for path in confinement["reads"]:
        rules.allow(path, Landlock.READ_FILE | Landlock.READ_DIR | Landlock.EXECUTE)
    for directory in confinement["writes"]:
        rules.allow(directory, rules.handled & ~(Landlock.MAKE_CHAR | Landlock.MAKE_BLOCK))
    for device in confinement["devices"]:
        rules.allow(device, Landlock.READ_FILE | Landlock.WRITE_FILE)
    # Asked whether it is a terminal, stdin says itself that it is none.
    rules.allow("/dev/null", Landlock.READ_FILE | Landlock.WRITE_FILE | Landlock.IOCTL_DEVICE)
    rules.restrict_self()


_generators: list[Any] = []


def remember_generators() -> None:
    """In the zygote: note every generator of random numbers that a library made when it was imported."""
    kinds: tuple[type, ...] = (random.Random,)
    if numpy_random := sys.modules.get("numpy.random"):
        kinds += (numpy_random.RandomState, numpy_random.BitGenerator)
    _generators[:] = [thing for thing in gc.get_objects() if isinstance(thing, kinds)]


def renew_generators() -> None:
    """In the guest: seed them anew, so that no two guests draw the same numbers."""
    for generator in _generators:
        if isinstance(generator, random.Random):
            generator.seed()
        elif not hasattr(generator, "get_state"):
            # A bit generator of numpy's: with fresh entropy, also for those that it will spawn.
            fresh = type(generator)()
            generator.__setstate__((fresh.state, fresh.seed_seq))
    for generator in _generators:
        if hasattr(generator, "get_state"):  # numpy's RandomState, which keeps the second normal of a pair
            generator.set_state({**generator.get_state(legacy=False), "has_gauss": 0, "gauss": 0.0})


def _own_state() -> None:
    """Give the forked interpreter a state that no other guest has."""
    renew_generators()
    loaded: Any = sys.modules.get
    if symbol := loaded("sympy.core.symbol"):
        symbol.Dummy._base_dummy_index = symbol.Dummy._prng.randint(10**6, 9 * 10**6)
    if tempfile := loaded("tempfile"):
        tempfile._name_sequence = None
        tempfile.tempdir = None
    if process := loaded("multiprocessing.process"):
        process.current_process().authkey = os.urandom(32)
    if ssl := loaded("_ssl"):
        ssl.RAND_add(os.urandom(32), 32.0)
    # Its three families of generators (random(3), drand48(3)).
    kernel.libc.srand(int.from_bytes(os.urandom(4)))
    kernel.libc.seed48(os.urandom(6))
    kernel.libc.srandom(int.from_bytes(os.urandom(4)))
    time.tzset()
    gc.enable()
