"""Sends the first bytes together with the handshake, so that a wall in front of connect is never asked.

Stopped by: network namespace, seccomp, Landlock
Succeeds by: harm
"""

import contextlib
import json
import os
import socket

MSG_FASTOPEN, TCP_FASTOPEN_CONNECT = 0x20000000, 30
bait = json.loads(os.environ["BAIT"])
for address, port in bait["tcp"]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for send in (
        lambda sock, to: sock.sendto(b"x", MSG_FASTOPEN, to),
        lambda sock, to: sock.sendmsg([b"x"], [], MSG_FASTOPEN, to),
    ):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(2)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
            send(sock, (address, port))
            print("told", sock.recv(100))
print("tried")
