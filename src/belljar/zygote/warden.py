"""A guest's parent where there are no namespaces: to it the kernel gives whatever the guest starts and abandons.

It is forked from the zygote, runs none of the user's code, and reads only the keeper's packets. A guest cannot reach
it: Landlock lets a guest signal nobody outside of its own domain.

Before it forks the guest it enters a domain of its own, in which nothing is refused but signals to others. The guest's
domain lies within. So kill(-1) reaches the guest and all that descends from it, at one moment and whatever it forks
meanwhile, and nobody else on the machine, root's warden or not.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from typing import Any

from belljar import kernel, packets
from belljar.zygote import reach

_SIGNALS = {"interrupt": signal.SIGINT, "continue": signal.SIGCONT}


def serve(sock: socket.socket, guest_fds: list[int]) -> None:
    """Fork the guest, in which this returns, and serve until the keeper closes the socket: then kill what is left."""
    kernel.set_title("belljar warden")
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    domain = kernel.Landlock(refuses_tcp=False, refuses_files=False)
    domain.allow("/", domain.REFER)
    domain.restrict_self()
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    guest = os.fork()
    if guest == 0:
        for fd in (wake, woken, sock.detach()):
            os.close(fd)
        return
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    for fd in guest_fds:
        os.close(fd)
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    poll.register(wake, select.POLLIN)
    try:
        _reap(sock, guest)  # it may have ended before we listened
        while True:
            for fd, _ in poll.poll():
                if fd == wake:
                    os.read(wake, 4096)
                    _reap(sock, guest)
                else:
                    _answer(sock, guest)
    except (EOFError, OSError):
        _kill()
        os._exit(0)


def _answer(sock: socket.socket, guest: int) -> None:
    packet, _ = packets.receive(sock)
    reply: dict[str, Any] = {"event": "done", "id": packet["id"]}
    fds = []
    if packet["op"] == "born":
        try:
            fds.append(os.pidfd_open(guest))
            reply["pid"] = guest
        except ProcessLookupError:
            reply["error"] = "the guest ended at once"
    else:
        _signal(packet["op"], packet["keep"])
    packets.send(sock, reply, fds)
    for fd in fds:
        os.close(fd)


def _signal(op: str, keep: int | None) -> None:
    if op in _SIGNALS:
        reach.send_all(_SIGNALS[op])
    elif op == "stop":
        reach.stop_all(_descendants)
    elif op == "sweep" and keep is not None:
        reach.sweep(_descendants, keep)
    else:
        _kill()


def _kill() -> None:
    reach.send_all(signal.SIGKILL)
    reach.kill(_descendants)


def _reap(sock: socket.socket, guest: int) -> None:
    while True:
        try:
            pid, status, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid == guest:
            packet = {
                "event": "exit",
                "pid": pid,
                "status": os.waitstatus_to_exitcode(status),
                "cpu_seconds": used.ru_utime + used.ru_stime,
            }
            packets.send(sock, packet)


def _descendants() -> list[int]:
    found: list[int] = []
    pending = _children(os.getpid())
    while pending:
        pid = pending.pop()
        found.append(pid)
        pending += _children(pid)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                children += map(int, file.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended; its children are ours then, and seen in the next round
    return children
