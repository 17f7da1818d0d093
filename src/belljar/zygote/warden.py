"""Signals all that runs in a session, at one moment and whatever it forks meanwhile, by kill(-1).

It runs none of the user's code, and reads only the keeper's packets.

In a box its reach is the box's pid namespace. The boxer forks it for one signal, when there is more to be signalled
than a lone guest, which the keeper does itself. A guest that has its uid, and that no Landlock keeps from signalling
it, may be quicker: then its session ends.

Where there are no namespaces it is the guest's parent, forked from the zygote: to it the kernel gives whatever the
guest starts and abandons. Before it forks the guest it enters a Landlock domain of its own, in which nothing is refused
but signals to others. The guest's domain lies within. So kill(-1) reaches the guest and all that descends from it, and
nobody else on the machine, root's warden or not; and a guest may signal nobody outside of its own domain.
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


def signal_box(packet: dict[str, Any], box: int, root: int, sock: socket.socket) -> None:
    """Take power over a box, by a pidfd of its pid 1, and stand in its root; signal all others in it and say so."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.set_title("belljar warden")
    kernel.setns(box, kernel.CLONE_NEWUSER)
    kernel.enter_root(root)  # for its /proc
    _signal(packet["signal"], packet["keep"], _others)
    packets.send(sock, {"event": "done"})


def _others() -> list[int]:
    """All in the box but its pid 1 and ourselves."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid not in (1, os.getpid())]


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
        _kill(_descendants)
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
        _signal(packet["op"], packet["keep"], _descendants)
    packets.send(sock, reply, fds)
    for fd in fds:
        os.close(fd)


def _signal(op: str, keep: list[int], look: reach.Look) -> None:
    """Signal all: `interrupt` (SIGINT), `stop`, `continue` or `kill`; `sweep` kills all but `keep`, and stops these."""
    if op in _SIGNALS:
        reach.send_all(_SIGNALS[op])
    elif op == "stop":
        reach.stop_all(look)
    elif op == "sweep" and keep:
        reach.sweep(look, keep)
    else:
        _kill(look)


def _kill(look: reach.Look) -> None:
    reach.send_all(signal.SIGKILL)
    reach.kill(look)


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
