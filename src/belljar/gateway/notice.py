"""A word to the service manager that has started the server, where one has: sd_notify(3)."""

from __future__ import annotations

import contextlib
import os
import socket


def tell(word: str) -> None:
    """`READY=1`, `STOPPING=1` and so on, as one datagram to $NOTIFY_SOCKET. Without one this is nothing.

    A manager that does not listen any more is none of the server's worries.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"  # an abstract one: unix(7)
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager,
    ):
        manager.setblocking(False)
        manager.sendto(word.encode(), address)
