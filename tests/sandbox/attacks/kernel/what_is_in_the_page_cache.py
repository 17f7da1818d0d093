"""Asks which pages of the shared libraries are in memory, which tells what other sessions have touched.

Stopped by: seccomp
"""

# mincore told it of all files until CVE-2019-5489; cachestat, of Linux 6.5, brought the same question anew.

import ctypes
import errno
import os
import struct
import sys

CACHESTAT = 451

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


with open("own", "wb") as file:
    file.write(bytes(65536))
for path in (os.path.realpath(sys.executable), "own"):
    fd = os.open(path, os.O_RDONLY)
    found = (ctypes.c_uint64 * 5)()
    attempt(f"cachestat of {path}", CACHESTAT, fd, struct.pack("=QQ", 0, 0), found, 0)
    os.close(fd)
os.unlink("own")
print("tried")
