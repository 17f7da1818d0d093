"""Makes a queue of POSIX messages, and has it tell of the first message by a signal and through a socket.

Stopped by: seccomp
"""

# mq_notify with a netlink socket freed it twice (CVE-2017-11176); a queue's memory is in no process that is counted.

import ctypes
import errno
import os
import platform
import signal
import struct

OPEN, UNLINK, SEND, NOTIFY = (240, 241, 242, 244) if platform.machine() == "x86_64" else (180, 181, 182, 184)

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


attributes = struct.pack("=8q", 0, 4, 64, 0, 0, 0, 0, 0)
queue = attempt("a queue", OPEN, b"belljar", os.O_RDWR | os.O_CREAT, 0o600, attributes)
for kind in (0, 2):  # SIGEV_SIGNAL; SIGEV_THREAD, which is told by a socket
    event = struct.pack("=qii", 0, int(signal.SIGCONT), kind).ljust(64, b"\0")
    attempt("to be told of a message", NOTIFY, max(queue, 0), event)
attempt("a message to no queue", SEND, -1, b"x", 1, 0, 0)
attempt("no queue, taken away", UNLINK, b"nothing")
call(UNLINK, b"belljar")
print("tried")
