"""Small packets with descriptors, between the keeper and its own helpers inside the outer box.

Both ends are ours and run none of the user's code, so a packet is one JSON object in one datagram of a
SOCK_SEQPACKET pair. Standard library only. The guest never holds such a socket.
"""

from __future__ import annotations

import json
import os
import socket
from array import array
from collections.abc import Sequence
from typing import Any

MAX_BYTES = 65536
MAX_FDS = 8
GONE = (EOFError, BrokenPipeError, ConnectionResetError)
"""What is raised where the peer has ended, by `receive` and by `send`."""
_SPACE = socket.CMSG_SPACE(MAX_FDS * 4)
_CLOSE_ON_EXEC = int(socket.MSG_CMSG_CLOEXEC)
_TRUNCATED = int(socket.MSG_TRUNC) | int(socket.MSG_CTRUNC)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends; neither is inherited over exec unless it is asked for."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, packet: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """Send one packet and copies of `fds`."""
    socket.send_fds(sock, [json.dumps(packet).encode()], list(fds))


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next packet and its descriptors (close-on-exec). Raises EOFError when the peer is gone."""
    data, ancillary, flags, _ = sock.recvmsg(MAX_BYTES, _SPACE, _CLOSE_ON_EXEC)
    if not data:
        raise EOFError("the other end is gone")
    fds = array("i")
    for _, _, part in ancillary:  # nothing else is ever sent beside
        fds.frombytes(part[: len(part) - len(part) % fds.itemsize])
    if flags & _TRUNCATED:
        for fd in fds:
            os.close(fd)
        raise ValueError("a packet larger than agreed")
    packet = json.loads(data)
    assert isinstance(packet, dict)
    return packet, fds.tolist()
