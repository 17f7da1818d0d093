"""Pid 1 of the outer box: starts fork servers, and makes boxes, as the keeper asks for them."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from typing import Any

from belljar import kernel, packets
from belljar.layout import BOX, WORK
from belljar.zygote import reach

_READY = b"k"
_PID1_FD = 3
_SIGNALS = {"interrupt": signal.SIGINT, "continue": signal.SIGCONT}


def main(control: socket.socket, config: dict[str, Any]) -> None:
    """Serve until the keeper is gone."""
    kernel.set_title("belljar boxer")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        # With the default action the kernel protects pid 1 from what is sent inside its namespace.
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the kernel
    # The zip that we came in, and whatever else: of what we hold, every box's pid 1 is born with a copy.
    kernel.close_range(3, control.fileno() - 1)
    kernel.close_range(control.fileno() + 1)
    packets.send(control, {"event": "ready"})
    while True:
        try:
            packet, fds = packets.receive(control)
        except EOFError:
            os._exit(0)
        try:
            _answer(control, packet, fds[0])
        except OSError as error:
            packets.send(control, {"event": "failed", "id": packet["id"], "error": str(error)})
        finally:
            for fd in fds:
                os.close(fd)


def _answer(control: socket.socket, packet: dict[str, Any], sock_fd: int) -> None:
    if packet["op"] == "zygote":
        _start_fork_server(packet, sock_fd)
        packets.send(control, {"event": "zygote", "id": packet["id"]})
        return
    pid, pidfd = _make_box(packet, sock_fd)
    try:
        packets.send(control, {"event": "box", "id": packet["id"], "pid": pid}, [pidfd])
    finally:
        os.close(pidfd)


def _start_fork_server(packet: dict[str, Any], sock_fd: int) -> None:
    if os.fork():
        return
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.dup2(sock_fd, 3)
        os.set_inheritable(3, True)  # dup2 leaves the flag as it was when both numbers are the same
        kernel.close_range(4)
        os.execve(packet["argv"][0], packet["argv"], packet["env"])
    except BaseException as error:
        print(f"belljar zygote: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(127)


def _make_box(packet: dict[str, Any], sock_fd: int) -> tuple[int, int]:
    """Clone a box's pid 1. It speaks to the keeper on `sock_fd` as soon as its mounts are there."""
    gate_read, gate_write = os.pipe()
    pid = kernel.clone(kernel.NAMESPACES | signal.SIGCHLD)
    if pid == 0:
        try:
            os.close(gate_write)
            if os.read(gate_read, 1) != _READY:
                os._exit(1)
            os.dup2(sock_fd, _PID1_FD)
            kernel.close_range(_PID1_FD + 1)
            _pid1(packet, socket.socket(fileno=_PID1_FD))
        except BrokenPipeError:
            pass  # the keeper has gone meanwhile
        except BaseException as error:
            print(f"belljar box: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(1)
    os.close(gate_read)
    pidfd = os.pidfd_open(pid)
    try:
        kernel.write_file(f"/proc/{pid}/setgroups", "deny")
        kernel.write_file(f"/proc/{pid}/uid_map", packet["map"])
        kernel.write_file(f"/proc/{pid}/gid_map", packet["map"])
        os.write(gate_write, _READY)
    except OSError:
        os.close(pidfd)
        raise
    finally:
        os.close(gate_write)  # without the byte the child ends itself
    return pid, pidfd


def _pid1(packet: dict[str, Any], sock: socket.socket) -> None:
    """Furnish the box, then do nothing but kill on request, until the keeper closes the socket."""
    started = time.perf_counter()
    owner = packet["guest_id"]
    if packet["has_root"]:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    # The zygote enters by our pidfd, for which the kernel wants us dumpable; a guest, without capabilities, may
    # not look into us all the same.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    options = f"mode=0755,size={packet['disk_bytes']},nr_inodes={packet['inodes']}"
    kernel.mount("belljar", BOX, "tmpfs", flags, options)
    for name, mode in (
        ("files", 0o755),
        ("files/work", 0o755),
        ("files/output", 0o755),
        ("tmp", 0o1777),
        ("shm", 0o1777),
    ):
        os.mkdir(f"{BOX}/{name}")
        os.chmod(f"{BOX}/{name}", mode)
        os.chown(f"{BOX}/{name}", owner, owner)
    directory = os.open(f"{BOX}/files", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name, target in (("files", "/files"), ("tmp", "/tmp"), ("shm", "/dev/shm")):
        kernel.mount(f"{BOX}/{name}", target, None, kernel.MS_BIND)
    kernel.umount(BOX, kernel.MNT_DETACH)
    mounted = time.perf_counter()
    # The guest sees its own processes and no other file of /proc.
    kernel.mount("proc", "/proc", "proc", flags | kernel.MS_NOEXEC, "subset=pid")
    kernel.set_title("belljar box")
    socket.sethostname("belljar")
    kernel.raise_loopback()
    kernel.hide_mounts()
    os.chdir(WORK)
    laps = {"mounts": mounted - started, "proc": time.perf_counter() - mounted}
    packets.send(sock, {"event": "ready", "laps": laps}, [directory])
    os.close(directory)
    while True:
        try:
            request, _ = packets.receive(sock)
        except (EOFError, OSError):
            os._exit(0)
        _kill(request["op"], request.get("keep"))
        packets.send(sock, {"event": "done", "op": request["op"]})


def _kill(op: str, keep: int | None) -> None:
    """Signal all: `interrupt` (SIGINT), `stop`, `continue` or `kill`; `sweep` kills all but `keep`.

    kill(-1) reaches every process of this pid namespace but us, and forks cannot race with it: a process that
    has the signal pending does not fork any more.
    """
    if op == "stop":
        reach.stop_all(_others)
    elif op == "sweep" and keep is not None:
        reach.sweep(_others, keep)
    else:
        reach.send_all(_SIGNALS.get(op, signal.SIGKILL))


def _others() -> list[int]:
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid != 1]
