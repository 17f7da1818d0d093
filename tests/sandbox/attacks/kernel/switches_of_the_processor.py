"""Turns the switches that a thread has: speculation, time-stamps, huge pages, calls that come back to it.

Stopped by: seccomp
"""

# Speculation let loose is what reads across processes, and dispatch changes what a system call means.

import ctypes
import errno
import os
import platform

PRCTL = 157 if platform.machine() == "x86_64" else 167
OPTIONS = {
    "speculation, asked": (52, 0), "speculation, allowed": (53, 0, 2), "indirect branches": (53, 1, 2),
    "first-level cache flush": (53, 2, 2), "time-stamps": (26, 1), "no huge pages": (41, 1),
    "memory that denies": (65, 1), "dispatch": (59, 0), "dispatch, on": (59, 1, 0, 0), "unaligned": (6, 0),
    "futexes": (78, 1, 4), "a vector's length": (50, 16), "tagged addresses": (55, 1), "memory errors": (33, 1, 1),
    "timers' numbers": (77, 1), "events off": (31,), "input and output flusher": (57, 1), "time-stamps, asked": (25, 0),
}  # fmt: skip

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


for name, (option, *arguments) in OPTIONS.items():
    child = os.fork()
    if child == 0:
        arguments += [0] * (4 - len(arguments))
        result = call(PRCTL, option, *arguments)
        # EINVAL is also the kernel's answer to an option that it does not know.
        os._exit(0 if result in (-errno.EPERM, -errno.ENOSYS, -errno.EINVAL) else 1)
    if os.waitpid(child, 0)[1]:
        print("ESCAPED:", name)
print("tried")
