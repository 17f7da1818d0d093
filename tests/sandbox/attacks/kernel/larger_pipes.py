"""Makes its pipes as large as it can, and those that the keeper reads from.

Stopped by: seccomp
"""

# Pages of pipes are counted for the machine's user: one session with large pipes leaves the others pipes of two pages.

import ctypes
import errno
import os
import platform

FCNTL = 72 if platform.machine() == "x86_64" else 25
SETPIPE_SZ = 1031

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


read_end, write_end = os.pipe()
for upper in (0, 1 << 32):
    for size in (1 << 20, 1 << 31, 4096):
        attempt("its own pipe", FCNTL, write_end, upper | SETPIPE_SZ, size)
    attempt("no pipe", FCNTL, os.open(".", os.O_RDONLY), upper | SETPIPE_SZ, 4096)
print("tried")
