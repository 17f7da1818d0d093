"""Makes shared segments of System V, of huge pages too, and attaches them where it likes.

Stopped by: seccomp
"""

# A segment stays when its maker has gone, and shmat let the first page be mapped (CVE-2017-5669).

import ctypes
import errno
import platform

GET, ATTACH, DETACH, CONTROL = (29, 30, 67, 31) if platform.machine() == "x86_64" else (194, 196, 197, 195)
IPC_PRIVATE, REMOVE, LOCK, INFORMATION = 0, 0, 11, 14
HUGE, NO_RESERVE, ROUND, REMAP = 0o4000, 0o10000, 0o20000, 0o40000

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


for flags in (0, HUGE, NO_RESERVE):
    segment = attempt("a segment", GET, IPC_PRIVATE, 1 << 21, flags | 0o600)
    if segment >= 0:
        address = attempt("attached", ATTACH, segment, 0, 0)
        attempt("locked in memory", CONTROL, segment, LOCK, 0)
        if address > 0:
            call(DETACH, address)
        call(CONTROL, segment, REMOVE, 0)
attempt("attached at the bottom", ATTACH, 0, 1, ROUND | REMAP)
attempt("detached", DETACH, 0)
attempt("what segments there are", CONTROL, 0, INFORMATION, ctypes.create_string_buffer(128))
print("tried")
