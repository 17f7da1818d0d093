"""Asks io_uring's other two calls with descriptors that are no rings, and with none at all.

Stopped by: seccomp
"""

# A filter that shuts the set-up alone leaves these: since Linux 6.13 some registrations need no ring (descriptor -1).

import ctypes
import errno

ENTER, REGISTER = 426, 427

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


argument = ctypes.create_string_buffer(4096)
for fd in (-1, 0, 1):
    attempt(f"io_uring_enter on {fd}", ENTER, fd, 0, 0, 0, 0, 0)
    for operation in (0, 4, 8, 31, 35, 0x80000000 | 4):
        attempt(f"io_uring_register {operation} on {fd}", REGISTER, fd, operation, argument, 1)
print("tried")
