"""The zygote: imports the libraries once, then forks a guest for each request of the keeper.

It has one thread, an empty environment and one descriptor, the socket to the keeper. Nothing of a request
runs here: a request only names a box.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from belljar import kernel, packets
from belljar.guest import cell, confine, display


def main(control: socket.socket) -> None:
    """Preload, report, and serve until the keeper is gone."""
    kernel.set_title("belljar zygote")
    config, _ = packets.receive(control)
    started = time.perf_counter()
    display.hook_pyplot()
    failed = _preload(config["preload"])
    _forget_the_host()
    threads = len(os.listdir("/proc/self/task"))
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection here would only dirty pages that all guests share
    collapsed = kernel.collapse_memory()
    packets.send(
        control,
        {
            "event": "ready",
            "failed": failed,
            "threads": threads,
            "data_bytes": _data_bytes(),
            "huge_bytes": collapsed,
            "laps": {"preload": time.perf_counter() - started},
        },
    )
    if threads != 1:
        # setns(CLONE_NEWUSER) needs one thread, and a lock held by another would stay locked in every guest
        os._exit(1)
    _Server(control, config).serve()


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


def _data_bytes() -> int:
    """What RLIMIT_DATA counts of us, and so of every guest from its first moment."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0


class _Server:
    def __init__(self, control: socket.socket, config: dict[str, Any]) -> None:
        self._control = control
        self._filter = bytes.fromhex(config["filter"])
        self._own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._guests: dict[int, int] = {}  # pidfd: pid
        self._poll = select.epoll()
        self._poll.register(control, select.EPOLLIN)

    def serve(self) -> None:
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._control.fileno():
                    try:
                        packet, fds = packets.receive(self._control)
                    except EOFError:
                        os._exit(0)
                    self._fork(packet, fds)
                else:
                    self._reap(fd)

    def _reap(self, pidfd: int) -> None:
        pid = self._guests.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status, used = os.wait4(pid, 0)
        packet = {
            "event": "exit",
            "pid": pid,
            "status": os.waitstatus_to_exitcode(status),
            "cpu_seconds": used.ru_utime + used.ru_stime,
        }
        try:
            packets.send(self._control, packet)
        except BrokenPipeError:
            os._exit(0)  # the keeper is gone

    def _fork(self, packet: dict[str, Any], fds: list[int]) -> None:
        box, sock, out, err = fds
        started = time.perf_counter()
        try:
            kernel.setns(box, kernel.CLONE_NEWPID)
            pid = os.fork()
            if pid == 0:
                self._become_guest(packet, box, sock, out, err, started)
            # Back home: only our next child is born elsewhere, and only when we ask for it.
            kernel.setns(self._own_pid_namespace, kernel.CLONE_NEWPID)
            pidfd = os.pidfd_open(pid)
            laps = {"fork": time.perf_counter() - started}
            packets.send(
                self._control, {"event": "guest", "id": packet["id"], "pid": pid, "laps": laps}, [pidfd]
            )
            self._guests[pidfd] = pid
            self._poll.register(pidfd, select.EPOLLIN)
        except OSError as error:
            packets.send(self._control, {"event": "guest", "id": packet["id"], "error": str(error)})
        finally:
            for fd in fds:
                os.close(fd)

    def _become_guest(
        self, packet: dict[str, Any], box: int, sock: int, out: int, err: int, started: float
    ) -> None:
        """Never returns: a guest that got back into the server's loop would be a zygote with a user's code."""
        try:
            forked = time.perf_counter()
            self._poll.close()
            kernel.set_title("belljar guest")
            kept = confine.descriptors(sock, out, err, box)
            laps = confine.lock(packet, self._filter, kept.box)
            laps["forked"] = forked - started
            cell.serve(kept.control, packet, laps)
        except BaseException as error:
            os.write(2, f"belljar guest: {type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(1)


def start() -> None:
    """Entry point after exec: descriptor 3 is the socket to the keeper."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(socket.socket(fileno=3))
