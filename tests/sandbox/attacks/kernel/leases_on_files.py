"""Takes a lease on a file of its own, so that whoever opens it has to wait.

Stopped by: seccomp
"""

# The keeper's open() of a leased file would block for /proc/sys/fs/lease-break-time, 45 seconds, at the guest's wish.

import ctypes
import errno
import os
import platform

FCNTL = 72 if platform.machine() == "x86_64" else 25
SETLEASE, GETLEASE, SETDELEG = 1024, 1025, 1040
RDLCK, WRLCK, UNLCK = 0, 1, 2

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


fd = os.open("leased", os.O_RDONLY | os.O_CREAT, 0o600)
for upper in (0, 1 << 32, 0xFFFFFFFF << 32):
    for kind in (RDLCK, WRLCK, UNLCK):
        attempt("a lease", FCNTL, fd, ctypes.c_long(upper | SETLEASE), kind)
    attempt("what lease there is", FCNTL, fd, ctypes.c_long(upper | GETLEASE), 0)
os.close(fd)
os.unlink("leased")
print("tried")
