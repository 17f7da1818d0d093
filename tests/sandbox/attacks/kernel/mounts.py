"""Remounts what is read-only, mounts over it, and takes mounts away to see what lies below.

Stopped by: seccomp, capabilities, Landlock
"""

import contextlib
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
MS_REMOUNT, MS_BIND, MS_MOVE = 32, 4096, 8192
attempts = {
    "remount /": (b"none", b"/", None, MS_REMOUNT, None),
    "remount /usr/bin": (b"none", b"/usr/bin", None, MS_REMOUNT | MS_BIND, None),
    "bind": (b"/", b"/tmp", None, MS_BIND, None),
    "move": (b"/files", b"/tmp", None, MS_MOVE, None),
    "tmpfs": (b"none", b"/tmp", b"tmpfs", 0, None),
    "proc": (b"proc", b"/proc", b"proc", 0, None),
    "sysfs": (b"sysfs", b"/tmp", b"sysfs", 0, None),
    "cgroup": (b"cgroup", b"/tmp", b"cgroup", 0, b"memory"),
    "cgroup2": (b"cgroup2", b"/tmp", b"cgroup2", 0, None),
    "overlay": (b"overlay", b"/tmp", b"overlay", 0, b"lowerdir=/,upperdir=/files/work,workdir=/dev/shm"),
}
for name, arguments in attempts.items():
    if libc.mount(*arguments) == 0:
        print("ESCAPED: mounted,", name)
for path in (b"/proc", b"/files", b"/tmp", b"/usr/bin", b"/", b"/dev/null"):
    if libc.umount2(path, 2) == 0:
        print("ESCAPED: unmounted", path)
for number in (428, 429, 430, 432, 433, 442, 467, 468):  # the new mount calls
    if libc.syscall(number, -100, b"/", 1, 0, 0, 0) >= 0:
        print("ESCAPED: mount call", number)
with contextlib.suppress(OSError):
    print("ESCAPED: /sys has", os.listdir("/sys"))
print("tried")
