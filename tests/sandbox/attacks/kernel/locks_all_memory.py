"""Locks all its memory, now and to come, so that none of it can be reclaimed.

Stopped by: seccomp
"""

# Locked pages are those that the machine cannot take back when it runs short: others are killed in their place.

import ctypes
import errno
import platform

MLOCKALL, MUNLOCKALL = (151, 152) if platform.machine() == "x86_64" else (230, 231)

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


for flags in (2, 2 | 4, 4, 1):
    attempt("mlockall", MLOCKALL, flags)
attempt("munlockall", MUNLOCKALL)
print("tried")
