"""Waits and wakes by the calls that came after futex.

Stopped by: seccomp
"""

# A check left out where waiters move between futexes rooted every Android (CVE-2014-3153); this is the rewrite.

import ctypes
import errno
import struct

WAKE, WAIT, REQUEUE = 454, 455, 456
SIZE_32, NUMA, PRIVATE = 2, 4, 128

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


words = (ctypes.c_uint32 * 4)(1, 1, 0, 0)
address = ctypes.addressof(words)
for flags in (SIZE_32, SIZE_32 | PRIVATE, SIZE_32 | NUMA):
    attempt("futex_wake", WAKE, address, 1, 1, flags)
    attempt("futex_wait on another value", WAIT, address, 7, 1, flags, 0, 1)
waiters = b"".join(struct.pack("=QQII", 1, address + offset, SIZE_32 | PRIVATE, 0) for offset in (0, 4))
attempt("futex_requeue", REQUEUE, waiters, 0, 0, 0)
print("tried")
