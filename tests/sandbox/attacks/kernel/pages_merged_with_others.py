"""Asks the kernel to merge its pages with equal ones of other processes, to tell by the time of a write who has them.

Stopped by: seccomp
"""

# Merged pages tell one process what another holds (CVE-2015-2877, and a whole password in `Dedup est machina`).

import ctypes
import errno
import platform

PRCTL = 157 if platform.machine() == "x86_64" else 167
PR_SET_MEMORY_MERGE, PR_GET_MEMORY_MERGE = 67, 68

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


attempt("all its memory", PRCTL, PR_SET_MEMORY_MERGE, 1, 0, 0, 0)
attempt("upper half set", PRCTL, 1 << 32 | PR_SET_MEMORY_MERGE, 1, 0, 0, 0)
if call(PRCTL, PR_GET_MEMORY_MERGE, 0, 0, 0, 0) == 1:
    print("ESCAPED: its pages are merged")
    call(PRCTL, PR_SET_MEMORY_MERGE, 0, 0, 0, 0)
print("tried")
