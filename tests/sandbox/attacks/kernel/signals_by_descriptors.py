"""Has descriptors send signals, of its choice and to a process of its choice: SIGCONT, which wakes what was stopped.

Stopped by: seccomp
"""

# The sender is the kernel, so that a filter on kill sees neither the signal nor whom it reaches.

import ctypes
import errno
import os
import platform
import signal
import socket
import struct

IS_X86 = platform.machine() == "x86_64"
FCNTL, IOCTL = (72, 16) if IS_X86 else (25, 29)
SETOWN, GETOWN, SETSIG, GETSIG, SETOWN_EX = 8, 9, 10, 11, 15
FIOSETOWN, SIOCSPGRP = 0x8901, 0x8902

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


here, there = socket.socketpair()
fd = here.fileno()
for upper in (0, 1 << 32):
    attempt("the signal", FCNTL, fd, upper | SETSIG, int(signal.SIGCONT))
    attempt("which signal", FCNTL, fd, upper | GETSIG, 0)
    for pid in (os.getpid(), os.getppid(), 1, -os.getpgrp()):
        attempt("the owner", FCNTL, fd, upper | SETOWN, pid)
        attempt("the owner by ioctl", IOCTL, fd, upper | FIOSETOWN, struct.pack("=i", pid))
        attempt("the group by ioctl", IOCTL, fd, upper | SIOCSPGRP, struct.pack("=i", pid))
    attempt("the owner's thread", FCNTL, fd, upper | SETOWN_EX, struct.pack("=ii", 0, os.getpid()))
    attempt("which owner", FCNTL, fd, upper | GETOWN, 0)
call(FCNTL, fd, SETSIG, 0)
call(FCNTL, fd, SETOWN, 0)
print("tried")
