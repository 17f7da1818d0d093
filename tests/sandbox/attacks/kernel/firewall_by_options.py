"""Reads and replaces the tables of the old packet filter, by options of an ordinary socket.

Stopped by: seccomp, capabilities
"""

# No netlink is needed: IPT_SO_SET_REPLACE wrote past its end for 15 years (CVE-2021-22555), on any internet socket.

import ctypes
import errno
import platform
import socket

IS_X86 = platform.machine() == "x86_64"
GETSOCKOPT, SETSOCKOPT = (55, 54) if IS_X86 else (209, 208)
TABLES = {"IPv4": (socket.AF_INET, 0, 64), "IPv6": (socket.AF_INET6, 41, 64), "ARP": (socket.AF_INET, 0, 96)}
# Where there is no such table the protocol knows no such option.
SHUT = (-errno.EPERM, -errno.ENOSYS, -errno.ENOPROTOOPT)

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


for name, (family, level, first) in TABLES.items():
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError:
        continue
    with sock:
        room = ctypes.create_string_buffer(b"filter", 1024)
        for number in (first, first + 1):
            result = call(GETSOCKOPT, sock.fileno(), level, number, room, ctypes.byref(ctypes.c_int(84)))
            if result not in SHUT:
                print("ESCAPED: read of", name, number, result)
            result = call(SETSOCKOPT, sock.fileno(), level, number, room, 96)
            if result not in SHUT:
                print("ESCAPED: write of", name, number, result)
print("tried")
