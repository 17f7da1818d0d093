"""Watches by inotify what others open: shared libraries, the working directory, /proc.

Stopped by: seccomp
"""

# Sessions see the same inodes of shared libraries; and instances are counted for the machine's user across all boxes.

import ctypes
import errno
import os
import platform
import sys

IS_X86 = platform.machine() == "x86_64"
INIT1, ADD, REMOVE = (294, 254, 255) if IS_X86 else (26, 27, 28)
ALL = 0xFFF

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(number, *arguments):
    """The call's result, or minus its errno."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *passed)
    return result if result >= 0 else -ctypes.get_errno()


def attempt(what, number, *arguments):
    """Says so where the kernel did it, or looked at the arguments: a shut door answers EPERM or ENOSYS."""
    result = call(number, *arguments)
    if result not in (-errno.EPERM, -errno.ENOSYS):
        print("ESCAPED:", what, result)
    return result


for flags in (0, os.O_CLOEXEC | os.O_NONBLOCK, 1):
    fd = attempt("inotify_init1", INIT1, flags)
    if fd >= 0:
        for path in (os.path.realpath(sys.executable), ".", "/proc", "/usr/lib"):
            attempt(f"a watch on {path}", ADD, fd, path.encode(), ALL)
        os.close(fd)
if IS_X86:
    attempt("inotify_init", 253)
attempt("inotify_add_watch without an instance", ADD, -1, b".", ALL)
attempt("inotify_rm_watch without an instance", REMOVE, -1, 1)
print("tried")
