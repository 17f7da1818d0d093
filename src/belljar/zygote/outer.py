"""Enter the outer box: namespaces of every kind, a private root, and an identity without power."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

from belljar import kernel, packets
from belljar.zygote import boxer

NEW_ROOT = "/tmp"


def main(control: socket.socket) -> None:
    """Runs as the keeper's direct child; returns only in processes that then exit."""
    try:
        _enter(control)
    except packets.GONE:
        os._exit(0)  # there is no keeper any more to do it for


def _enter(control: socket.socket) -> None:
    config, _ = packets.receive(control)
    try:
        kernel.unshare(kernel.NAMESPACES)
    except OSError as error:
        _report(control, error)
        os._exit(1)
    packets.send(control, {"event": "unshared"})
    packets.receive(control)  # the keeper has written our uid and gid maps
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    # Sources are opened while we still are the owner of private parent directories such as /root; after that
    # only the descriptors count.
    trees = [(kernel.open_tree(source), target) for source, target in config["binds"]]
    if config["has_own_uids"]:
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    # The change of identity has made our /proc entries the machine's root's; the boxer has to write its children's.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    kernel.set_title("belljar outer")  # while there is a /proc: the child takes our mounts away
    pid = os.fork()
    # Set last: the kernel clears it on every change of credentials.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if pid:
        control.close()
        kernel.close_range(3)
        _, status = os.waitpid(pid, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    try:
        _build_root(config, trees)
        boxer.main(control, config)
    except packets.GONE:
        raise
    except BaseException as error:
        _report(control, error)
        raise


def _report(control: socket.socket, error: BaseException) -> None:
    try:
        packets.send(control, {"event": "failed", "error": f"{type(error).__name__}: {error}"})
    except OSError:
        print(f"belljar outer: {error}", file=sys.stderr)


def _build_root(config: dict[str, Any], trees: list[tuple[int, str]]) -> None:
    """The root that boxes are cloned from: read-only, and nothing in it but what code has to see."""
    kernel.mount(
        "belljar", NEW_ROOT, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0755,size=4m,nr_inodes=4096"
    )
    for directory in config["directories"]:
        os.makedirs(NEW_ROOT + directory, mode=0o755, exist_ok=True)
    for tree, target in trees:
        path = NEW_ROOT + target
        is_directory = os.path.isdir(f"/proc/self/fd/{tree}")
        os.makedirs(path if is_directory else os.path.dirname(path), exist_ok=True)
        if not is_directory:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
        is_device = target.startswith("/dev/")
        nodev = 0 if is_device else kernel.MOUNT_ATTR_NODEV
        kernel.mount_setattr(tree, kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID | nodev)
        kernel.move_mount(tree, path)
        os.close(tree)
    for path, target in config["links"]:
        os.symlink(target, NEW_ROOT + path)
    for path, text in config["files"]:
        os.makedirs(os.path.dirname(NEW_ROOT + path), exist_ok=True)
        with open(NEW_ROOT + path, "w") as file:
            file.write(text)
    for path, text in config["programs"]:
        os.makedirs(os.path.dirname(NEW_ROOT + path), exist_ok=True)
        with open(NEW_ROOT + path, "w", opener=lambda name, flags: os.open(name, flags, 0o755)) as file:
            file.write(text)
    # While the old /proc is still in sight: the kernel gives a new one only to who could see it all before.
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", NEW_ROOT + "/proc", "proc", flags)
    kernel.mount("belljar", NEW_ROOT + "/tmp", "tmpfs", flags, "mode=1777,size=16m,nr_inodes=512")
    os.chdir(NEW_ROOT)
    kernel.pivot_root(".", ".")
    kernel.umount(".", kernel.MNT_DETACH)
    os.chdir("/")
    kernel.mount_setattr(
        kernel.AT_FDCWD,
        kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV,
        path="/",
        recursive=False,
    )
    socket.sethostname("belljar")
