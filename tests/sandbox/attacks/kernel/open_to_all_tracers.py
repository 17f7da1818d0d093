"""Makes itself dumpable, names who may trace it, and forgets the signal of its parent's death.

Stopped by: seccomp
"""

# A dumpable guest may be traced by its equals; without the signal of its parent's death it outlives the fork server.

import ctypes
import errno
import platform

PRCTL = 157 if platform.machine() == "x86_64" else 167
OPTIONS = {
    "dumpable": (4, 1),
    "dumpable, upper half set": (1 << 32 | 4, 1),
    "dumpable, the value's upper half set": (4, 1 << 32 | 1),
    "a tracer": (0x59616D61, 0xFFFFFFFFFFFFFFFF),
    "no signal at the parent's death": (1, 0),
}

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
    attempt(name, PRCTL, option, *(ctypes.c_ulong(a) for a in arguments), 0, 0, 0)
print("tried")
