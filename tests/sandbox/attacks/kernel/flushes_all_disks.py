"""Has everything written that waits to be written, on the whole machine.

Stopped by: seccomp
"""

# sync takes no argument and asks for no right: a loop of it makes everything on the machine wait for the disk.

import ctypes
import errno
import os
import platform

SYNC, SYNCFS = (162, 306) if platform.machine() == "x86_64" else (81, 267)

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


attempt("sync", SYNC)
attempt("syncfs", SYNCFS, os.open(".", os.O_RDONLY))
attempt("syncfs of nothing", SYNCFS, -1)
print("tried")
