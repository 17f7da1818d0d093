"""Makes sockets of the internet families that speak neither TCP nor UDP: MPTCP, SCTP, DCCP, UDP-Lite, L2TP, SMC.

Stopped by: seccomp
"""

# The less used a protocol is, the fewer have looked at it: SCTP had CVE-2021-3655, DCCP CVE-2017-6074.

import ctypes
import errno
import platform

SOCKET = 41 if platform.machine() == "x86_64" else 198
INET, INET6, STREAM, DGRAM, SEQPACKET, DCCP = 2, 10, 1, 2, 5, 6
PROTOCOLS = {
    "MPTCP": 262,
    "SCTP": 132,
    "DCCP": 33,
    "UDP-Lite": 136,
    "L2TP": 115,
    "SMC": 256,
    "ESP": 50,
    "IGMP": 2,
}
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


for family in (INET, INET6):
    for kind in (STREAM, DGRAM, SEQPACKET, DCCP):
        for name, protocol in PROTOCOLS.items():
            for upper in (0, 1 << 32):
                result = call(SOCKET, upper | family, kind, upper | protocol)
                if result not in SHUT:
                    print("ESCAPED:", name, result)
print("tried")
