"""Tells the kernel what to do with another process' memory: drop it, page it out, reap it.

Stopped by: seccomp
"""

# By a pidfd, which every guest may have: process_madvise slows a neighbour down, process_mrelease takes its pages.

import ctypes
import errno
import mmap
import os
import signal
import struct

MADVISE, MRELEASE = 440, 448
MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT, MADV_COLLAPSE = 3, 20, 21, 25

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


page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
vector = struct.pack("=QQ", ctypes.addressof(ctypes.c_char.from_buffer(page)), 4096)
child = os.fork()
if child == 0:
    signal.pause()
    os._exit(0)
for pid in (child, os.getpid(), 1):
    fd = handle_of(pid)
    for advice in (MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT, MADV_COLLAPSE):
        attempt(f"process_madvise {advice}", MADVISE, fd, vector, 1, advice, 0)
    attempt("process_mrelease", MRELEASE, fd, 0)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print("tried")
