"""Makes timers that send a signal of its choice to a thread of its choice, by the processor's and by the wall's clock.

Stopped by: seccomp
"""

# A race of such a timer with a dying thread was used on telephones (CVE-2025-38352); CVE-2017-18344 read memory.

import ctypes
import errno
import platform
import signal
import struct
import threading

CREATE, SETTIME, DELETE = (222, 223, 226) if platform.machine() == "x86_64" else (107, 110, 111)
REALTIME, MONOTONIC, PROCESS, THREAD, BOOTTIME_ALARM = 0, 1, 2, 3, 9
SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID = 0, 1, 4

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


identifier = ctypes.c_int()
for clock in (REALTIME, MONOTONIC, PROCESS, THREAD, BOOTTIME_ALARM):
    for kind in (SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID):
        event = struct.pack("=qiii", 0, int(signal.SIGCONT), kind, threading.get_native_id()).ljust(64, b"\0")
        if attempt(f"a timer of clock {clock}", CREATE, clock, event, ctypes.byref(identifier)) == 0:
            call(DELETE, identifier.value)
attempt("a timer that is not", SETTIME, 9999, 0, ctypes.create_string_buffer(32), 0)
print("tried")
