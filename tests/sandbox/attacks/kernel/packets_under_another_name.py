"""Makes a packet socket without its family's name: AF_INET with the type SOCK_PACKET, as in Linux 2.0.

Stopped by: seccomp, capabilities
"""

# The kernel turns it into AF_PACKET, so that a filter that looks at the family alone lets CVE-2017-7308's code in.

import ctypes
import errno
import platform
import socket

SOCKET = 41 if platform.machine() == "x86_64" else 198
INET, SOCK_PACKET, ETH_P_ALL = 2, 10, 0x0300
SHUT = (-errno.EPERM, -errno.ENOSYS, -errno.EAFNOSUPPORT, -errno.ESOCKTNOSUPPORT, -errno.EPROTONOSUPPORT)

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


for flags in (0, socket.SOCK_CLOEXEC, socket.SOCK_NONBLOCK):
    for upper in (0, 1 << 32):
        for protocol in (0, ETH_P_ALL):
            result = call(SOCKET, upper | INET, upper | flags | SOCK_PACKET, protocol)
            if result not in SHUT:
                print("ESCAPED: a packet socket", result)
print("tried")
