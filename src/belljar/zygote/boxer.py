"""Pid 1 of the outer box: starts fork servers, and makes boxes, as the keeper asks for them."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

from belljar import kernel, packets
from belljar.zygote import warden


def main(control: socket.socket, config: dict[str, Any]) -> None:
    """Serve until the keeper is gone, and raise one of `packets.GONE` then."""
    kernel.set_title("belljar boxer")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        # With the default action the kernel protects pid 1 from what is sent inside its namespace.
        signal.signal(number, signal.SIG_DFL)
    signal.signal(
        signal.SIGCHLD, signal.SIG_IGN
    )  # children, and those of each box's pid 1, are reaped by the kernel
    # The zip that we came in, and whatever else: each box's pid 1 holds what we hold.
    kernel.close_range(3, control.fileno() - 1)
    kernel.close_range(control.fileno() + 1)
    root = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    _empty_our_root()
    packets.send(control, {"event": "ready"})
    while True:
        packet, fds = packets.receive(control)
        made: list[int] = []
        try:
            answer: dict[str, Any] = {"event": packet["op"], "id": packet["id"]}
            if packet["op"] == "box":
                made.append(_make_box(packet["map"], proc))
            elif packet["op"] == "warden":
                _start_warden(packet, own_pid_namespace, *fds)
            else:
                _start_fork_server(packet, root, *fds)
            packets.send(control, answer, made)
        except OSError as error:
            packets.send(control, {"event": "failed", "id": packet["id"], "error": str(error)})
        finally:
            for fd in (*fds, *made):
                os.close(fd)


def _empty_our_root() -> None:
    """Leave the mounts that boxes are made of for a namespace with none but an empty directory: guests may read of
    their pid 1, in /proc/1/mountinfo, what mounts there are, and it shares ours."""
    kernel.unshare(kernel.CLONE_NEWNS)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | kernel.MS_RDONLY
    kernel.mount("belljar", "/tmp", "tmpfs", flags, "mode=0555,nr_inodes=1")
    os.chdir("/tmp")
    kernel.pivot_root(".", ".")
    kernel.umount(".", kernel.MNT_DETACH)
    os.chdir("/")


def _make_box(id_map: str, proc: int) -> int:
    """A pidfd of a new box's pid 1, which holds its namespaces and does nothing at all."""
    kernel.set_name("box")  # which it inherits
    try:
        pid = kernel.stand_still(kernel.HELD_BY_PID1)
    finally:
        kernel.set_name("boxer")
    pidfd = os.pidfd_open(pid)
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", id_map), ("gid_map", id_map)):
            kernel.write_file(f"{pid}/{name}", text, directory_fd=proc)
    except OSError:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
        raise
    return pidfd


def _start_warden(packet: dict[str, Any], own_pid_namespace: int, box: int, root: int, sock_fd: int) -> None:
    """Fork one into a box. It answers on the socket."""
    if kernel.fork_into(box, own_pid_namespace):
        return
    try:
        warden.signal_box(packet, box, root, socket.socket(fileno=sock_fd))
        os._exit(0)
    except BaseException as error:
        print(f"belljar warden: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(1)


def _start_fork_server(packet: dict[str, Any], root: int, sock_fd: int) -> None:
    if os.fork():
        return
    try:
        kernel.setns(root, kernel.CLONE_NEWNS)
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
