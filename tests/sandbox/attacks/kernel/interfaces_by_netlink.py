"""Lists, makes and raises network interfaces by netlink, and asks for addresses and routes.

Stopped by: seccomp, capabilities
"""

# rtnetlink is the way into every kind of device and scheduler that the kernel has; CVE-2023-3609's classifier is one.

import ctypes
import errno
import os
import platform
import struct

SOCKET, SENDTO, RECVFROM = (41, 44, 45) if platform.machine() == "x86_64" else (198, 206, 207)
NETLINK, RAW = 16, 3
NEWLINK, GETLINK, GETADDR, GETROUTE = 16, 18, 22, 26
REQUEST, ACK, DUMP, CREATE = 1, 4, 0x300, 0x400
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


fd = call(SOCKET, NETLINK, RAW | os.O_NONBLOCK, 0)
if fd not in SHUT:
    print("ESCAPED: a socket", fd)
for kind, flags in ((GETLINK, DUMP), (GETADDR, DUMP), (GETROUTE, DUMP), (NEWLINK, ACK | CREATE)):
    if fd >= 0:
        # ifinfomsg: the loopback, raised
        body = struct.pack("=BBHiII", 0, 0, 0, 1, 1, 1)
        message = struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, 1, 0) + body
        call(SENDTO, fd, message, len(message), 0, 0, 0)
        answer = ctypes.create_string_buffer(65536)
        if call(RECVFROM, fd, answer, 65536, 0, 0, 0) >= 20:
            is_error = struct.unpack_from("=H", answer, 4)[0] == 2
            code = struct.unpack_from("=i", answer, 16)[0] if is_error else 0
            if code not in SHUT:
                print("ESCAPED: an answer to", kind, code)
print("tried")
