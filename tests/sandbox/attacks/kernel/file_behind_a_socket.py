"""Asks a bound socket for the file that it is bound to.

Stopped by: seccomp, capabilities
"""

# SIOCUNIXFILE opens the peerless path anew, without a look at rights on the way to it.

import ctypes
import errno
import os
import platform
import socket

IOCTL = 16 if platform.machine() == "x86_64" else 29
SIOCUNIXFILE, SIOCOUTQ, SIOCINQ_NS = 0x89E0, 0x5411, 0x894C

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(number, *arguments):
    """The call's result, or minus its errno."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *passed)
    return result if result >= 0 else -ctypes.get_errno()


def attempt(what, number, *arguments):
    """Says so where the kernel did it, or looked at the arguments: a shut door answers EPERM or ENOSYS, or ENOTTY, as
    where there is no such question."""
    result = call(number, *arguments)
    if result not in (-errno.EPERM, -errno.ENOSYS, -errno.ENOTTY):
        print("ESCAPED:", what, result)
    return result


try:
    made = socket.socket(socket.AF_UNIX)
    made.bind("bound")
except PermissionError:
    made = socket.socketpair()[0]  # one without a name: the question is the same
with made as sock:
    for upper in (0, 1 << 32):
        for name, request in (
            ("its file", SIOCUNIXFILE),
            ("its namespace", SIOCINQ_NS),
            ("its queue", SIOCOUTQ),
        ):
            attempt(name, IOCTL, sock.fileno(), upper | request, ctypes.create_string_buffer(8))
if os.path.exists("bound"):
    os.unlink("bound")
print("tried")
