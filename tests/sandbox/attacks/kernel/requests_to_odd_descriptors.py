"""Sends ioctls to descriptors that hardly anybody knows to take any: epoll, timers, events, pipes and /dev/null.

Stopped by: seccomp
"""

# epoll has had them since Linux 6.9, to burn the processor at a network card; each is a handler that a driver brings.

import ctypes
import errno
import os
import platform
import select
import struct

IS_X86 = platform.machine() == "x86_64"
IOCTL, TIMERFD = (16, 283) if IS_X86 else (29, 85)
EPIOCSPARAMS, EPIOCGPARAMS, SET_TICKS = 0x40088A01, 0x80088A02, 0x40085400
WATCH_SIZE, WATCH_FILTER, BLKGETSIZE = 0x5760, 0x5761, 0x1260

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


poll = select.epoll()
timer = call(TIMERFD, 1, 0)
pipe, _ = os.pipe()
for upper in (0, 1 << 32):
    attempt("busy poll, asked", IOCTL, poll.fileno(), upper | EPIOCGPARAMS, ctypes.create_string_buffer(8))
    attempt("busy poll", IOCTL, poll.fileno(), upper | EPIOCSPARAMS, struct.pack("=IHBB", 1, 1, 0, 0))
    attempt("ticks", IOCTL, timer, upper | SET_TICKS, struct.pack("=Q", 1))
    for fd in (pipe, os.open("/dev/null", os.O_RDWR)):
        for request in (WATCH_SIZE, WATCH_FILTER, BLKGETSIZE):
            attempt("of a pipe or a device", IOCTL, fd, upper | request, 0)
print("tried")
