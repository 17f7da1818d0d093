"""Allots protection keys of memory, and protects pages with them.

Stopped by: seccomp
"""

# With a key each thread has a view of memory of its own, changed without a call: kernel code that few have used.

import ctypes
import errno
import mmap
import platform

PROTECT, ALLOCATE, FREE = (329, 330, 331) if platform.machine() == "x86_64" else (288, 289, 290)

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
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
attempt("a key", ALLOCATE, 0, 0)
attempt("a page without a key", PROTECT, address, 4096, 3, -1)
attempt("a page with a key", PROTECT, address, 4096, 3, 1)
attempt("a key freed", FREE, 15)
print("tried")
