"""Asks how the machine's clock is steered, and sets clocks that cannot be set.

Stopped by: seccomp
"""

# There is one real-time clock for all sessions, in no namespace; adjtimex leaked kernel stack (CVE-2018-11508).

import ctypes
import errno
import platform
import struct

IS_X86 = platform.machine() == "x86_64"
ADJTIMEX, CLOCK_ADJTIME, CLOCK_SETTIME, SETTIMEOFDAY = (
    (159, 305, 227, 164) if IS_X86 else (171, 266, 112, 170)
)
MONOTONIC, PROCESS, BOOTTIME, TAI = 1, 2, 7, 11

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


# No mode is set, so that root itself would change nothing; and those clocks have no way to be set.
attempt("adjtimex", ADJTIMEX, ctypes.create_string_buffer(208))
for clock in (0, MONOTONIC, TAI, 99):
    attempt(f"clock_adjtime {clock}", CLOCK_ADJTIME, clock, ctypes.create_string_buffer(208))
for clock in (MONOTONIC, PROCESS, BOOTTIME, 99):
    attempt(f"clock_settime {clock}", CLOCK_SETTIME, clock, struct.pack("=qq", 0, 0))
attempt("settimeofday", SETTIMEOFDAY, struct.pack("=qq", 0, 10_000_000), 0)
print("tried")
