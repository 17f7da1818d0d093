"""Counts and samples its own process by perf events, with a ring buffer shared with the kernel.

Stopped by: seccomp
"""

# perf_event_open gave root by one unchecked index (CVE-2013-2094), and counters tell what a neighbour computes.

import ctypes
import errno
import mmap
import os
import platform
import struct

PERF_EVENT_OPEN = 298 if platform.machine() == "x86_64" else 241
HARDWARE, SOFTWARE, TRACEPOINT, BREAKPOINT = 0, 1, 2, 5
DISABLED, EXCLUDE_KERNEL, EXCLUDE_HV = 1, 1 << 5, 1 << 6

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


for kind, config in ((SOFTWARE, 1), (SOFTWARE, 9), (HARDWARE, 0), (TRACEPOINT, 1), (BREAKPOINT, 0)):
    flags = DISABLED | EXCLUDE_KERNEL | EXCLUDE_HV
    attribute = struct.pack("=IIQQQQQ", kind, 128, config, 100_000, 0, 0, flags).ljust(128, b"\0")
    fd = attempt(f"an event {kind}/{config}", PERF_EVENT_OPEN, attribute, 0, -1, -1, 0)
    if fd >= 0 and kind == SOFTWARE:
        mmap.mmap(fd, 2 * mmap.PAGESIZE)
        print("ESCAPED: a ring buffer")
    if fd >= 0:
        os.close(fd)
print("tried")
