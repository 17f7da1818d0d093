"""Traces a child of its own: stops it at its calls, and changes their numbers after any filter has looked.

Stopped by: seccomp
"""

# Before Linux 4.8 a tracer changed a call behind the filter; CVE-2019-13272 got root by PTRACE_TRACEME alone.

import ctypes
import errno
import os
import platform
import signal

PTRACE = 101 if platform.machine() == "x86_64" else 117
TRACEME, PEEKDATA, CONT, ATTACH, SEIZE, INTERRUPT = 0, 2, 7, 16, 0x4206, 0x4207

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
    result = call(PTRACE, TRACEME, 0, 0, 0)
    os._exit(0 if result in (-errno.EPERM, -errno.ENOSYS) else 1)
if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1:
    print("ESCAPED: traced by its parent")
child = os.fork()
if child == 0:
    signal.pause()
    os._exit(0)
for name, request in (
    ("attach", ATTACH),
    ("seize", SEIZE),
    ("interrupt", INTERRUPT),
    ("peek", PEEKDATA),
    ("continue", CONT),
):
    attempt(name, PTRACE, request, child, 0, 0)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print("tried")
