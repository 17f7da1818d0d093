"""Maps a ring for whole packets into its memory, and joins a group that shares them out.

Stopped by: seccomp, capabilities
"""

# Sizes of this ring were miscounted twice (CVE-2017-7308, CVE-2020-14386), and each gave root from a user namespace.

import ctypes
import errno
import platform
import struct

SOCKET, SETSOCKOPT = (41, 54) if platform.machine() == "x86_64" else (198, 208)
PACKET, RAW, SOL_PACKET = 17, 3, 263
VERSION, RX_RING, FANOUT, RESERVE = 10, 5, 18, 12
SHUT = (-errno.EPERM, -errno.ENOSYS, -errno.EAFNOSUPPORT)

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


result = call(SOCKET, PACKET, RAW, 0x0300)
if result not in SHUT:
    print("ESCAPED: a packet socket", result)
if result >= 0:
    for option, value in (
        (VERSION, struct.pack("=i", 2)),
        (RESERVE, struct.pack("=I", 0)),
        (RX_RING, struct.pack("=7I", 4096, 1, 2048, 2, 0, 0, 0)),
        (FANOUT, struct.pack("=I", 1)),
    ):
        attempt(f"option {option}", SETSOCKOPT, result, SOL_PACKET, option, value, len(value))
print("tried")
