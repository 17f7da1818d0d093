"""Lists, renames and lowers network interfaces by ioctl on a socket that is none of the network's.

Stopped by: seccomp, network namespace
"""

# A Unix socket takes them as well as any other: whoever may have socketpair could talk to every driver of a card.

import ctypes
import errno
import platform
import socket
import struct

IOCTL = 16 if platform.machine() == "x86_64" else 29
NAMED = struct.pack("=16s24x", b"lo")
REQUESTS = {
    "SIOCGIFNAME": (0x8910, struct.pack("=16si20x", b"", 1)), "SIOCGIFFLAGS": (0x8913, NAMED),
    "SIOCGIFINDEX": (0x8933, NAMED), "SIOCGIFMTU": (0x8921, NAMED), "SIOCGIFHWADDR": (0x8927, NAMED),
    "SIOCSIFFLAGS": (0x8914, struct.pack("=16sh22x", b"lo", 0x49)), "SIOCETHTOOL": (0x8946, NAMED),
    "SIOCBRADDBR": (0x89A0, b"belljar0".ljust(16, b"\0")), "SIOCGSTAMP": (0x8906, bytes(16)),
    "SIOCDEVPRIVATE": (0x89F0, NAMED), "SIOCGIFCONF": (0x8912, struct.pack("=iiQ", 0, 0, 0)),
}  # fmt: skip

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


here, there = socket.socketpair()
for name, (request, argument) in REQUESTS.items():
    for upper in (0, 1 << 32):
        room = ctypes.create_string_buffer(argument, 64)
        attempt(name, IOCTL, here.fileno(), upper | request, room)
print("tried")
