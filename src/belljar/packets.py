"""Small packets with descriptors, between the keeper and its own helpers inside the outer box.

Both ends are ours and run none of the user's code, so a packet is one JSON object in one datagram of a
SOCK_SEQPACKET pair. Standard library only. The guest never holds such a socket.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from typing import Any

MAX_BYTES = 131072
MAX_FDS = 8


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends; neither is inherited over exec unless it is asked for."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, packet: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """Send one packet and copies of `fds`."""
    socket.send_fds(sock, [json.dumps(packet).encode()], list(fds))


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next packet and its descriptors (close-on-exec). Raises EOFError when the peer is gone."""
    data, fds, flags, _ = socket.recv_fds(sock, MAX_BYTES, MAX_FDS)
    if not data:
        raise EOFError("the other end is gone")
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for fd in fds:
            os.close(fd)
        raise ValueError("a packet larger than agreed")
    for fd in fds:
        os.set_inheritable(fd, False)
    packet = json.loads(data)
    assert isinstance(packet, dict)
    return packet, fds
