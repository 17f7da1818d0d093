"""Sorts the kernel's own objects by address, by comparing those of two processes.

Stopped by: seccomp
"""

# kcmp gives the order of heap addresses, which is what an exploit needs to know before it sprays.

import ctypes
import errno
import os
import platform
import signal

KCMP = 312 if platform.machine() == "x86_64" else 272
KINDS = ("file", "vm", "files", "fs", "sighand", "io", "sysvsem")

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


child = os.fork()
if child == 0:
    signal.pause()
    os._exit(0)
for kind, name in enumerate(KINDS):
    attempt(f"compared {name}", KCMP, os.getpid(), child, kind, 1, 2)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print("tried")
