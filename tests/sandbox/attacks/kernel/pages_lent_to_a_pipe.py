"""Lends its own pages to a pipe, and reads from it what it has written to them afterwards.

Stopped by: seccomp
"""

# vmsplice took any address for its own (CVE-2008-0600); a page lent before a fork is read after it (CVE-2020-29374).

import ctypes
import errno
import mmap
import os
import platform
import struct

VMSPLICE = 278 if platform.machine() == "x86_64" else 75

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


page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
page.write(b"before")
read_end, write_end = os.pipe()
vector = struct.pack("=QQ", ctypes.addressof(ctypes.c_char.from_buffer(page)), 4096)
for flags in (0, 8, 2):  # a gift; without waiting
    attempt("vmsplice", VMSPLICE, write_end, vector, 1, flags)
page[:6] = b"after!"
os.set_blocking(read_end, False)
try:
    if os.read(read_end, 6) == b"after!":
        print("ESCAPED: the pipe shares our page")
except BlockingIOError:
    pass
attempt("vmsplice out of a pipe", VMSPLICE, read_end, vector, 1, 2)
print("tried")
