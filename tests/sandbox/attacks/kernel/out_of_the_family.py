"""Has a child that is its parent's and not its own, one that a tracer follows, and one that no tracer may follow.

Stopped by: seccomp
"""

# With CLONE_PARENT a guest's child would be the fork server's, out of the keeper's sight and in the way of its wait.

import ctypes
import errno
import os
import platform

CLONE = 56 if platform.machine() == "x86_64" else 220
FLAGS = {"CLONE_PARENT": 0x8000, "CLONE_PTRACE": 0x2000, "CLONE_UNTRACED": 0x800000}
SIGCHLD = 17

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


me = os.getpid()
for name, flag in FLAGS.items():
    for upper in (0, 1 << 32, 0xFFFFFFFF << 32):
        result = call(CLONE, ctypes.c_ulong(upper | flag | SIGCHLD).value, 0, 0, 0, 0)
        if os.getpid() != me or result == 0:
            os._exit(0)
        if result not in (-errno.EPERM, -errno.ENOSYS):
            print("ESCAPED:", name, result)
print("tried")
