"""Has the kernel send it a signal whenever anybody touches a directory.

Stopped by: seccomp
"""

# The oldest of the watches needs only fcntl, which every program has; on a shared directory it tells of other sessions.

import ctypes
import errno
import os
import platform
import sys
import tempfile

FCNTL = 72 if platform.machine() == "x86_64" else 25
NOTIFY = 1026
ACCESS, MODIFY, CREATE, MULTISHOT = 1, 2, 4, 0x80000000

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


for path in (".", tempfile.gettempdir(), os.path.dirname(os.path.realpath(sys.executable))):
    fd = os.open(path, os.O_RDONLY)
    for upper in (0, 1 << 32):
        attempt(f"a watch on {path}", FCNTL, fd, upper | NOTIFY, ACCESS | MODIFY | CREATE | MULTISHOT)
        attempt(f"no watch on {path}", FCNTL, fd, upper | NOTIFY, 0)
    os.close(fd)
print("tried")
