"""Makes a socket that shares its packets with a network card's driver.

Stopped by: seccomp, capabilities
"""

# Such a socket pins memory of its user for a device and lets it write descriptors that the driver reads (AF_XDP).

import ctypes
import errno
import mmap
import platform
import struct

SOCKET, SETSOCKOPT = (41, 54) if platform.machine() == "x86_64" else (198, 208)
XDP, RAW, SOL_XDP, RX_RING, UMEM_REG, FILL_RING = 44, 3, 283, 2, 4, 5
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


fd = call(SOCKET, XDP, RAW, 0)
if fd not in SHUT:
    print("ESCAPED: a socket", fd)
if fd >= 0:
    memory = mmap.mmap(-1, 16 * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area = struct.pack(
        "=QQIIII", ctypes.addressof(ctypes.c_char.from_buffer(memory)), len(memory), 4096, 0, 0, 0
    )
    attempt("memory for packets", SETSOCKOPT, fd, SOL_XDP, UMEM_REG, area, len(area))
    for ring in (FILL_RING, RX_RING):
        attempt("a ring", SETSOCKOPT, fd, SOL_XDP, ring, struct.pack("=I", 8), 4)
print("tried")
