"""Furnish a new box from inside: its first guest does so, before it gives up its power over the box."""

from __future__ import annotations

import os
from typing import Any

from belljar import kernel
from belljar.layout import BOX, INPUT, WORK

_FLAGS = kernel.MS_NOSUID | kernel.MS_NODEV
_DIRECTORIES = (
    ("files", 0o755),
    ("files/work", 0o755),
    ("files/output", 0o755),
    ("files/input", 0o755),
    ("tmp", 0o1777),
    ("shm", 0o1777),
)
_BINDS = (("files", "/files"), ("tmp", "/tmp"), ("shm", "/dev/shm"))


def furnish(furniture: dict[str, Any]) -> None:
    """Mount what is the box's own. `furniture` = {owner, disk_bytes, inodes}; all of the caller's namespaces are the
    box's."""
    owner = furniture["owner"]
    options = f"mode=0755,size={furniture['disk_bytes']},nr_inodes={furniture['inodes']}"
    kernel.mount("belljar", BOX, "tmpfs", _FLAGS, options)
    os.umask(0)
    for name, mode in _DIRECTORIES:
        path = f"{BOX}/{name}"
        os.mkdir(path, mode)
        os.chown(path, owner, owner)
    os.symlink(WORK, f"{BOX}{INPUT}")
    for name, target in _BINDS:
        kernel.mount(f"{BOX}/{name}", target, None, kernel.MS_BIND)
    kernel.umount(BOX, kernel.MNT_DETACH)
    # A guest sees its own box's processes and no other file of /proc.
    kernel.mount("proc", "/proc", "proc", _FLAGS | kernel.MS_NOEXEC, "subset=pid")
    kernel.raise_loopback()
