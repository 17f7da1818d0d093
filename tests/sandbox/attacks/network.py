"""Reaches for the metadata service, the machine's loopback and the internet, by each layer of the network."""

import contextlib
import ctypes
import socket

libc = ctypes.CDLL(None, use_errno=True)
for family in range(2, 64):
    for kind in (1, 2, 3, 5, 10, 0x80001, 0x80802):
        for protocol in (0, 1, 6, 16, 17, 255):
            for upper in (0, 1 << 32, 0xFFFFFFFF << 32):
                fd = libc.syscall(
                    ctypes.c_long(41 if hasattr(libc, "arch_prctl") else 198),
                    ctypes.c_ulong(upper | family), ctypes.c_long(kind), ctypes.c_long(protocol),
                )  # fmt: skip
                if fd >= 0:
                    print("ESCAPED: a socket of family", family)
for address in (("169.254.169.254", 80), ("127.0.0.1", 8421), ("127.0.0.1", 22), ("1.1.1.1", 53)):
    with contextlib.suppress(OSError):
        socket.create_connection(address, timeout=1)
        print("ESCAPED: connected to", address)
for name in ("localhost", "example.com", "metadata.google.internal"):
    with contextlib.suppress(OSError):
        if socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM) and name != "localhost":
            print("ESCAPED: resolved", name)
with contextlib.suppress(OSError):
    print("ESCAPED: interfaces", socket.if_nameindex())
print("tried")
