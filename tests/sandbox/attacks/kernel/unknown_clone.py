"""Forks by clone3, which keeps its flags where no filter can read them.

Stopped by: seccomp
"""

# It has to be as if the kernel had no such call: a filter that lets it through has let every CLONE_NEW* flag through.

import ctypes
import errno
import os
import struct

CLONE3 = 435
SIGCHLD = 17
CLONE_PIDFD, CLONE_PARENT, CLONE_NEWTIME, CLONE_NEWUSER = 0x1000, 0x8000, 0x80, 0x10000000
CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP = 1 << 32, 1 << 33

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
for flags in (
    0,
    CLONE_PIDFD,
    CLONE_PARENT,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    CLONE_CLEAR_SIGHAND,
    CLONE_INTO_CGROUP,
):
    pidfd = ctypes.c_int()
    signal = 0 if flags & CLONE_PARENT else SIGCHLD
    for size in (64, 80, 88):
        fields = (flags, ctypes.addressof(pidfd), 0, 0, signal, 0, 0, 0, 0, 0, 0)
        arguments = struct.pack("=11Q", *fields)[:size]
        result = call(CLONE3, arguments, size)
        if os.getpid() != me or result == 0:
            os._exit(0)
        if result != -errno.ENOSYS:
            print("ESCAPED: clone3 with", hex(flags), result)
attempt("clone3 that reads nothing", CLONE3, 0, 0)
print("tried")
