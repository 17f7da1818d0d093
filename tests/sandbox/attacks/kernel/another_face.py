"""Changes what the machine sees of its process: the program it is said to run, its arguments, where its heap lies.

Stopped by: seccomp
"""

# PR_SET_MM rewrites /proc/PID/exe, cmdline and the bounds of the heap, by which watchers outside tell processes apart.

import ctypes
import errno
import os
import platform
import sys

PRCTL = 157 if platform.machine() == "x86_64" else 167
PR_SET_MM = 35
START_BRK, ARG_START, ARG_END, EXE_FILE, MAP, MAP_SIZE = 6, 8, 9, 13, 14, 15

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


size = ctypes.c_uint()
attempt("the size of a map", PRCTL, PR_SET_MM, MAP_SIZE, ctypes.byref(size), 0, 0)
fd = os.open(os.path.realpath(sys.executable), os.O_RDONLY)
attempt("another program", PRCTL, PR_SET_MM, EXE_FILE, fd, 0, 0)
for field in (START_BRK, ARG_START, ARG_END):
    attempt(f"field {field}", PRCTL, PR_SET_MM, field, 0, 0, 0)
attempt("a whole map", PRCTL, PR_SET_MM, MAP, ctypes.create_string_buffer(104), 104, 0)
attempt("a map, upper half set", PRCTL, 1 << 32 | PR_SET_MM, MAP_SIZE, ctypes.byref(size), 0, 0)
print("tried")
