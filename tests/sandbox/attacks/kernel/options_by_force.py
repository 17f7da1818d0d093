"""Sets options of sockets that are for the administrator: buffers past the limit, marks, priorities.

Stopped by: capabilities, seccomp
"""

# SO_SNDBUFFORCE took a negative size (CVE-2016-9793); buffers past the limit are kernel memory at the guest's wish.

import ctypes
import errno
import platform
import socket
import struct

SETSOCKOPT = 54 if platform.machine() == "x86_64" else 208
SOL_SOCKET = 1
SNDBUFFORCE, RCVBUFFORCE, MARK, PRIORITY, DEBUG = 32, 33, 36, 12, 1
TCP_REPAIR, IP_TRANSPARENT = (6, 19), (0, 19)
WANTED = {
    "a send buffer": (SNDBUFFORCE, 1 << 30), "a receive buffer": (RCVBUFFORCE, 1 << 30), "a mark": (MARK, 1),
    "a priority": (PRIORITY, 7), "a trace": (DEBUG, 1),
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


def try_all(sock):
    for name, (option, value) in WANTED.items():
        if call(SETSOCKOPT, sock.fileno(), SOL_SOCKET, option, struct.pack("=i", value), 4) == 0:
            print("ESCAPED:", name, "for", sock.family)
    for level, option in (TCP_REPAIR, IP_TRANSPARENT):
        on = struct.pack("=i", 1)
        if sock.family != socket.AF_UNIX and call(SETSOCKOPT, sock.fileno(), level, option, on, 4) == 0:
            print("ESCAPED: level", level, "for", sock.family)


for made in (lambda: socket.socketpair()[0], socket.socket, lambda: socket.socket(socket.AF_INET6)):
    try:
        tested = made()
    except OSError:
        continue
    with tested:
        try_all(tested)
print("tried")
