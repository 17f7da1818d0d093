"""The zygote: imports the libraries once, then forks a guest for each request of the keeper.

It has one thread, an empty environment and one descriptor, the socket to the keeper. Nothing of a request
runs here: a request only names a box. There are several, in tiers: one more is forked from the one before it, so that
they share memory, and imports more.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from belljar import kernel, packets
from belljar.guest import cell, confine, hooks, warm
from belljar.zygote import warden


@dataclass(frozen=True)
class Birth:
    """All that a guest has of the server that it was forked from."""

    packet: dict[str, Any]
    program: kernel.Filter
    guest: cell.Guest
    fds: list[int]
    """Stdout, stderr, control."""
    box: list[int]
    """A pidfd of its pid 1, and its root where it has had a guest before; empty without boxes."""
    started: float


@dataclass(frozen=True)
class _Growth:
    """What a new tier begins with, in a process of its own."""

    control: socket.socket
    preload: list[str]


def main(control: socket.socket) -> Birth:
    """Serve until the keeper is gone. Returns in a guest only, with its birth alone."""
    kernel.set_title("belljar zygote")
    kernel.capabilities()
    kernel.Landlock.abi()
    hooks.install()
    # A handler in C: it answers while a library keeps the interpreter, too. Guests inherit it.
    faulthandler.register(kernel.STACK_SIGNAL, file=2, all_threads=False, chain=False)
    # All of ours is loaded; what looks for packages is not to find, and to hold open, the archive that it came in.
    sys.path[:] = [entry for entry in sys.path if not entry.endswith("inside.zip")]
    config, _ = packets.receive(control)
    program, has_boxes = kernel.Filter(bytes.fromhex(config.pop("filter"))), config["has_boxes"]
    preload = config["preload"]
    while True:
        guest = _get_ready(control, preload)
        came = _Server(control, program, guest, has_boxes=has_boxes).serve()
        if isinstance(came, Birth):
            return came
        control, preload = came.control, came.preload


def _get_ready(control: socket.socket, preload: list[str]) -> cell.Guest:
    """Import, use a little of what was imported, and leave the memory as it is best forked; then report.

    Returns what each guest is to be, made ahead: pages that are not written to are shared.
    """
    started = time.perf_counter()
    gc.unfreeze()  # what the tier before had is looked through for generators, and frozen, once more
    failed = _preload(preload)
    imported = time.perf_counter()
    cold = warm.prepare() if preload else {}
    warmed = time.perf_counter()
    _forget_the_host()
    threads = _other_threads()
    confine.remember_generators()
    guest = cell.Guest()
    guest.prepare()
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection here would only dirty pages that all guests share; each guest enables it again
    collapsed = kernel.collapse_memory()
    packets.send(
        control,
        {
            "event": "ready",
            "failed": failed,
            "cold": cold,
            "threads": threads,
            "data_bytes": _data_bytes(),
            "huge_bytes": collapsed,
            "laps": {"preload": imported - started, "warm": warmed - imported},
        },
    )
    if threads:
        # setns(CLONE_NEWUSER) needs one thread, and a lock held by another would stay locked in every guest
        os._exit(1)
    return guest


def _preload(modules: list[str]) -> dict[str, str]:
    failed = {}
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
    return failed


def _forget_the_host() -> None:
    """Forget facts about the machine that an import may have remembered."""
    loaded: Any = sys.modules.get
    if platform := loaded("platform"):
        platform._uname_cache = None
    if uuid := loaded("uuid"):
        uuid._node = None


def _other_threads() -> list[str]:
    """The names of all threads but this one."""
    names = []
    for thread in os.listdir("/proc/self/task"):
        if int(thread) != os.getpid():
            # One may just have ended.
            with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/comm") as file:
                names.append(file.read().strip())
    return names


def _data_bytes() -> int:
    """What RLIMIT_DATA counts of us, and so of every guest from its first moment."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0


class _Server:
    def __init__(
        self, control: socket.socket, program: kernel.Filter, guest: cell.Guest, *, has_boxes: bool
    ) -> None:
        self._control = control
        self._filter = program
        self._guest = guest
        self._has_boxes = has_boxes
        self._own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._children: dict[int, int] = {}
        """Guests, wardens, the next tier: pidfd and pid."""
        self._own_env = dict(os.environ)
        self._env: dict[str, str] | None = None
        """That of the last guest, which is ours since."""
        self._poll = select.epoll()
        self._poll.register(control, select.EPOLLIN)

    def serve(self) -> Birth | _Growth:
        """Fork on request. Returns in children only."""
        while True:
            for fd, _ in self._poll.poll():
                if fd != self._control.fileno():
                    self._reap(fd)
                    continue
                try:
                    packet, fds = packets.receive(self._control)
                except (EOFError, ConnectionResetError):
                    os._exit(0)  # the keeper is gone
                came = self._grow(packet, fds[0]) if packet["op"] == "grow" else self._fork(packet, fds)
                if came:
                    return came

    def _reap(self, pidfd: int) -> None:
        pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status, used = os.wait4(pid, 0)
        self._tell(
            {
                "event": "exit",
                "pid": pid,
                "status": os.waitstatus_to_exitcode(status),
                "cpu_seconds": used.ru_utime + used.ru_stime,
            }
        )

    def _tell(self, packet: dict[str, Any], fds: Sequence[int] = ()) -> None:
        try:
            packets.send(self._control, packet, fds)
        except BrokenPipeError:
            os._exit(0)  # the keeper is gone

    def _fork(self, packet: dict[str, Any], fds: list[int]) -> Birth | None:
        """Fork a guest with `fds` = (stdout, stderr, control) into the box that they go on with; without boxes a
        warden, to which that is the socket.

        Returns the birth in the guest: the server's own frames are gone from its stack when it runs code.
        """
        started = time.perf_counter()
        if packet["env"] != self._env:
            # Before the fork: there are few that differ, and to each guest it would be the dearest step of all.
            self._env = packet["env"]
            _set_environment(self._env)
        try:
            pid = kernel.fork_into(fds[3], self._own_pid_namespace) if self._has_boxes else os.fork()
            if pid == 0:
                return self._born(packet, fds, started)
            pidfd = os.pidfd_open(pid)
            laps = {"fork": time.perf_counter() - started}
            self._tell({"event": "guest", "id": packet["id"], "pid": pid, "laps": laps}, [pidfd])
            self._keep(pidfd, pid)
        except OSError as error:
            self._tell({"event": "guest", "id": packet["id"], "error": str(error)})
        for fd in fds:
            os.close(fd)
        return None

    def _keep(self, pidfd: int, pid: int) -> None:
        self._children[pidfd] = pid
        self._poll.register(pidfd, select.EPOLLIN)

    def _grow(self, packet: dict[str, Any], sock_fd: int) -> _Growth | None:
        """Fork the next tier, which serves on `sock_fd` what we cannot."""
        try:
            pid = os.fork()
            if pid == 0:
                kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
                self._forget()
                _set_environment(
                    self._own_env
                )  # libraries are not to start threads, as a guest may have them do
                return _Growth(socket.socket(fileno=sock_fd), packet["preload"])
            self._keep(os.pidfd_open(pid), pid)
            self._tell({"event": "grown", "id": packet["id"]})
        except OSError as error:
            self._tell({"event": "grown", "id": packet["id"], "error": str(error)})
        os.close(sock_fd)
        return None

    def _forget(self) -> None:
        """In a child that is to be no copy of this server: close what it serves with."""
        self._poll.close()
        for fd in (self._control.detach(), self._own_pid_namespace, *self._children):
            os.close(fd)

    def _born(self, packet: dict[str, Any], fds: list[int], started: float) -> Birth:
        """In the child. It never gets back into the server's loop: that would be a zygote with a user's code."""
        others, place = fds[:3], fds[3:]
        try:
            if self._has_boxes:
                self._poll.close()  # the guest closes all that it does not know, and needs no list for that
                self._control.detach()
            else:
                self._forget()
                warden.serve(socket.socket(fileno=place.pop()), others)
            return Birth(packet, self._filter, self._guest, others, place, started)
        except BaseException as error:
            os.write(2, f"belljar guest: {type(error).__name__}: {error}\n".encode())
            os._exit(1)


def _set_environment(env: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)


def _live(birth: Birth) -> None:
    """Lock ourselves in, and run what the keeper sends. Never returns."""
    try:
        forked = time.perf_counter()
        kernel.set_title("belljar guest")
        confine.descriptors(*birth.fds, *birth.box)
        laps = confine.lock(birth.packet, birth.program, has_box=bool(birth.box))
        laps["forked"] = forked - birth.started
        guest, temporary, rehearsal = birth.guest, birth.packet["env"]["TMPDIR"], birth.packet["rehearsal"]
        del birth
        guest.become(temporary)
        if rehearsal:
            begun = time.perf_counter()
            if "libraries" in rehearsal:
                warm.rehearse()
            guest.rehearse()
            laps["rehearsed"] = time.perf_counter() - begun
        guest.serve(confine.CONTROL_FD, laps)
    except BaseException as error:
        os.write(2, f"belljar guest: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(1)


def start(fd: int) -> None:
    """Entry point after exec: descriptor `fd` is the socket to the keeper."""
    # When it dies so do we: in the outer box the boxer, on the machine itself the keeper.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever the server was started with: nohup ignores some, and a shell more in the background.
    for number in signal.valid_signals() - {signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    _live(main(socket.socket(fileno=fd)))
