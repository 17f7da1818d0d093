"""Makes a table and a chain of the packet filter, by netlink.

Stopped by: seccomp, capabilities
"""

# From a user namespace nf_tables was root year after year: CVE-2022-32250, CVE-2023-32233, CVE-2024-1086.

import ctypes
import errno
import os
import platform
import struct

SOCKET, SENDTO, RECVFROM = (41, 44, 45) if platform.machine() == "x86_64" else (198, 206, 207)
NETLINK, RAW, NETFILTER = 16, 3, 12
BEGIN, END, NEWTABLE, NFTABLES = 16, 17, 10 << 8, 10
REQUEST, ACK, CREATE = 1, 4, 0x400
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


def message(kind, flags, number, family, resource, attributes=b""):
    body = struct.pack("=BB", family, 0) + struct.pack(">H", resource) + attributes
    return struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, number, 0) + body


fd = call(SOCKET, NETLINK, RAW | os.O_NONBLOCK, NETFILTER)
if fd not in SHUT:
    print("ESCAPED: a socket", fd)
if fd >= 0:
    name = struct.pack("=HH", 8, 1) + b"own\0"
    batch = message(BEGIN, 0, 1, 0, NFTABLES)
    batch += message(NEWTABLE, ACK | CREATE, 2, 2, 0, name)
    batch += message(END, 0, 3, 0, NFTABLES)
    call(SENDTO, fd, batch, len(batch), 0, 0, 0)
    answer = ctypes.create_string_buffer(4096)
    if call(RECVFROM, fd, answer, 4096, 0, 0, 0) >= 20:
        code = struct.unpack_from("=i", answer, 16)[0]
        if code not in SHUT:
            print("ESCAPED: a table", code)
print("tried")
