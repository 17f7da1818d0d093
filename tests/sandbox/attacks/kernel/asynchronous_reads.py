"""Reads a file by io_submit, whose requests pass no filter.

Stopped by: seccomp
"""

# As with io_uring, the work is in a structure that no filter can read; CVE-2019-10125 was a use after free in it.

import ctypes
import errno
import os
import platform
import struct
import sys

IS_X86 = platform.machine() == "x86_64"
SETUP, SUBMIT, GETEVENTS = (206, 209, 208) if IS_X86 else (0, 2, 4)

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


context = ctypes.c_ulong()
if attempt("io_setup", SETUP, 4, ctypes.byref(context)) == 0:
    data = ctypes.create_string_buffer(16)
    fd = os.open(os.path.realpath(sys.executable), os.O_RDONLY)
    block = ctypes.create_string_buffer(
        struct.pack("=QIIHhIQQqQII", 1, 0, 0, 0, 0, fd, ctypes.addressof(data), 16, 0, 0, 0, 0)
    )
    blocks = (ctypes.c_void_p * 1)(ctypes.addressof(block))
    call(SUBMIT, context.value, 1, blocks)
    events = ctypes.create_string_buffer(32)
    if call(GETEVENTS, context.value, 1, 1, events, 0) == 1:
        print("ESCAPED: read", data.raw[:4])
attempt("io_submit without a context", SUBMIT, 0, 1, 0)
print("tried")
