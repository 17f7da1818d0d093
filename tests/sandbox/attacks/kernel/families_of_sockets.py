"""Makes sockets of every family but those for files on this machine and for its own loopback.

Stopped by: seccomp
"""

# Each family is a module of its own: AF_ALG (CVE-2026-31431), vsock (CVE-2024-50264), packet, TIPC, RDS, CAN, RxRPC.

import ctypes
import errno
import platform

IS_X86 = platform.machine() == "x86_64"
SOCKET, SOCKETPAIR = (41, 53) if IS_X86 else (198, 199)
UNIX, INET, INET6 = 1, 2, 10
STREAM, DGRAM, RAW, RDM, SEQPACKET, DCCP, PACKET = 1, 2, 3, 4, 5, 6, 10
# EAFNOSUPPORT is said by the filter, and by a kernel that lacks the family; the others by a family that is there.
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


for family in (*range(51), 0xFFFF, 0x7FFFFFFF):
    if family in (UNIX, INET, INET6):
        continue
    for kind in (STREAM, DGRAM, RAW, RDM, SEQPACKET, DCCP, PACKET, 0x80000 | RAW, 0x800 | DGRAM):
        for upper in (0, 1 << 32):
            result = call(SOCKET, upper | family, kind, 0)
            if result not in SHUT:
                print("ESCAPED: a socket of family", family, kind, result)
            pair = ctypes.create_string_buffer(8)
            result = call(SOCKETPAIR, upper | family, kind, 0, pair)
            if result not in SHUT:
                print("ESCAPED: a pair of family", family, kind, result)
            if result == -errno.EMFILE:
                break
print("tried")
