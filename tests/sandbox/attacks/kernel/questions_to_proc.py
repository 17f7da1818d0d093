"""Asks the files of /proc by ioctl: which mappings there are, and which pages of them are in use.

Stopped by: seccomp
"""

# PROCMAP_QUERY (Linux 6.11) and PAGEMAP_SCAN (6.7) are younger than most filters; one of them protects pages, too.

import ctypes
import errno
import os
import platform
import struct

IOCTL = 16 if platform.machine() == "x86_64" else 29
PROCMAP_QUERY, PAGEMAP_SCAN = 0xC0686611, 0xC0606610

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


page = ctypes.create_string_buffer(4096)
for name in ("maps", "smaps", "pagemap"):
    for pid in ("self", "1"):
        try:
            fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
        except OSError:
            continue
        for upper in (0, 1 << 32):
            query = struct.pack("=QQQ", 104, 16, ctypes.addressof(page)).ljust(104, b"\0")
            attempt("a mapping", IOCTL, fd, upper | PROCMAP_QUERY, ctypes.create_string_buffer(query, 104))
            scan = struct.pack("=12Q", 96, 0, 1 << 12, 1 << 24, 0, 0, 0, 0, 0, 0, 0, 0)
            attempt("pages", IOCTL, fd, upper | PAGEMAP_SCAN, ctypes.create_string_buffer(scan, 96))
        os.close(fd)
print("tried")
