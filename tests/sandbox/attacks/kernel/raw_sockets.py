"""Makes raw and ping sockets of IPv4 and IPv6, for headers of its own writing.

Stopped by: seccomp, capabilities
"""

# Ping sockets need no capability where the group range allows them, and were root on Android (CVE-2015-3636).

import ctypes
import errno
import platform

SOCKET = 41 if platform.machine() == "x86_64" else 198
INET, INET6, DGRAM, RAW = 2, 10, 2, 3
# What the policy says, and what an allowed family says of a type or a protocol that it lacks.
SHUT = (
    -errno.EPERM,
    -errno.ENOSYS,
    -errno.EACCES,
    -errno.EAFNOSUPPORT,
    -errno.ESOCKTNOSUPPORT,
    -errno.EPROTONOSUPPORT,
)

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


for family in (INET, INET6):
    for protocol in (1, 6, 17, 41, 47, 50, 58, 132, 255):
        for upper in (0, 1 << 32):
            result = call(SOCKET, upper | family, upper | RAW, upper | protocol)
            if result not in SHUT:
                print("ESCAPED: a raw socket of protocol", protocol, result)
    for protocol in (1, 58):
        result = call(SOCKET, family, DGRAM, protocol)
        if result not in SHUT:
            print("ESCAPED: a ping socket", result)
print("tried")
