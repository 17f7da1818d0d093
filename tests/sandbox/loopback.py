"""The loopback device of a network namespace, with the addresses that programs reach for: no packet leaves it."""

from __future__ import annotations

import fcntl
import socket
import struct

ADDRESSES = (
    "127.0.0.1",
    "::1",
    "169.254.169.254",  # the metadata service of the clouds
    "10.0.0.1",
    "192.168.0.1",
    "1.1.1.1",
    "8.8.8.8",
    "fd00::1",
)
SERVICES = (22, 53, 80, 443, 8421)
"""Ports on which a machine may have something to lose."""

_SIOCSIFADDR, _SIOCSIFFLAGS, _SIOCSIFNETMASK = 0x8916, 0x8914, 0x891C
_IFF_UP = 1


def bring_up() -> None:
    """Raise `lo` in the network namespace of the calling thread, with all of `ADDRESSES`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
        for number, address in enumerate(ADDRESSES):
            if ":" not in address and not address.startswith("127."):
                name = f"lo:{number}".encode()
                fcntl.ioctl(sock, _SIOCSIFADDR, _request(name, address))
                fcntl.ioctl(sock, _SIOCSIFNETMASK, _request(name, "255.255.255.255"))
    if socket.has_ipv6:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            for address in ADDRESSES:
                if ":" in address and address != "::1":
                    raw = socket.inet_pton(socket.AF_INET6, address)
                    index = socket.if_nametoindex("lo")
                    fcntl.ioctl(sock, _SIOCSIFADDR, struct.pack("=16sIi", raw, 128, index))


def _request(name: bytes, address: str) -> bytes:
    """struct ifreq with a struct sockaddr_in."""
    return struct.pack("=16sH2x4s16x", name, socket.AF_INET, socket.inet_aton(address))
