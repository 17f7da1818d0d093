"""Asks for the state of the machine's random numbers and stirs it, by ioctl on the device that every program may read.

Stopped by: seccomp
"""

# There is one generator for all; RNDZAPENTCNT and RNDADDENTROPY change what all others on the machine draw.

import ctypes
import errno
import os
import platform
import struct

IOCTL = 16 if platform.machine() == "x86_64" else 29
REQUESTS = {
    "RNDGETENTCNT": (0x80045200, bytes(4)), "RNDADDTOENTCNT": (0x40045201, struct.pack("=i", 0)),
    "RNDADDENTROPY": (0x40085203, struct.pack("=ii", 0, 0)), "RNDGETPOOL": (0x80085202, bytes(8)),
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


for path in ("/dev/urandom", "/dev/random"):
    fd = os.open(path, os.O_RDONLY)
    for upper in (0, 1 << 32):
        for name, (request, argument) in REQUESTS.items():
            attempt(name, IOCTL, fd, upper | request, ctypes.create_string_buffer(argument, 64))
    os.close(fd)
print("tried")
