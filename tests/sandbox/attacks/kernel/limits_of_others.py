"""Changes the resource limits of other processes, and its own by a number whose upper half is set.

Stopped by: seccomp
"""

# prlimit reaches every process of the same uid: a neighbour without files dies of what looks like its own doing.

import ctypes
import errno
import os
import platform
import signal
import struct

PRLIMIT = 302 if platform.machine() == "x86_64" else 261
NOFILE, CORE, NPROC = 7, 4, 6

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


child = os.fork()
if child == 0:
    signal.pause()
    os._exit(0)
old = ctypes.create_string_buffer(16)
for pid in (child, os.getpid(), 1 << 32 | child):
    attempt("another's limit", PRLIMIT, pid, NOFILE, 0, old)
    attempt("another's limit, set", PRLIMIT, pid, NOFILE, struct.pack("=QQ", 64, 1024), 0)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print("tried")
