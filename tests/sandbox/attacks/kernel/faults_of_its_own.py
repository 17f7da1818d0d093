"""Has page faults handed to itself, so that a kernel thread can be held still in the middle of a copy.

Stopped by: seccomp
"""

# userfaultfd makes a race in the kernel a certainty: the published exploit of CVE-2021-26708 stands on it.

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import struct

USERFAULTFD = 323 if platform.machine() == "x86_64" else 282
UFFD_USER_MODE_ONLY = 1
UFFDIO_API, UFFDIO_REGISTER = 0xC018AA3F, 0xC020AA00

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


for flags in (0, UFFD_USER_MODE_ONLY):
    fd = attempt("userfaultfd", USERFAULTFD, flags | os.O_CLOEXEC)
    if fd >= 0:
        fcntl.ioctl(fd, UFFDIO_API, struct.pack("=QQQ", 0xAA, 0, 0))
        page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        fcntl.ioctl(fd, UFFDIO_REGISTER, struct.pack("=QQQQ", address, 4096, 1, 0))
        print("ESCAPED: a page whose faults it answers")
try:
    os.close(os.open("/dev/userfaultfd", os.O_RDWR))
    print("ESCAPED: /dev/userfaultfd")
except OSError:
    pass
print("tried")
