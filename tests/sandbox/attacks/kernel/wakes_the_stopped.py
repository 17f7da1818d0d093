"""Wakes a stopped process, by each call that sends a signal.

Stopped by: seccomp
"""

# Between runs a session is stopped, and only the keeper may let it go on: each way to SIGCONT has to be shut.

import ctypes
import errno
import os
import platform
import signal
import struct

IS_X86 = platform.machine() == "x86_64"
KILL, TKILL, TGKILL, QUEUE, TGQUEUE = (62, 200, 234, 129, 297) if IS_X86 else (129, 130, 131, 138, 240)
PIDFD_SEND_SIGNAL = 424
CONT = int(signal.SIGCONT)

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


def handle_of(pid):
    """A pidfd; where there is none to be had, a number that could be one: the filter is asked all the same."""
    try:
        return os.pidfd_open(pid)
    except PermissionError:
        return 99


child = os.fork()
if child == 0:
    while True:
        os.kill(os.getpid(), signal.SIGSTOP)
information = struct.pack("=iiiIII", CONT, 0, -1, 0, child, 0).ljust(128, b"\0")
ways = {
    "kill": (KILL, child, CONT), "kill with its upper half set": (KILL, child, 1 << 32 | CONT),
    "kill of the group": (KILL, 0, CONT),
    "tkill": (TKILL, child, CONT), "tgkill": (TGKILL, child, child, CONT),
    "tgkill with its upper half set": (TGKILL, child, child, 0xFFFFFFFF << 32 | CONT),
    "rt_sigqueueinfo": (QUEUE, child, CONT, information),
    "rt_tgsigqueueinfo": (TGQUEUE, child, child, CONT, information),
    "pidfd_send_signal": (PIDFD_SEND_SIGNAL, handle_of(child), CONT, 0, 0),
}  # fmt: skip
os.waitpid(child, os.WUNTRACED)
for name, (number, *arguments) in ways.items():
    attempt(name, number, *(ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments))
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print("tried")
