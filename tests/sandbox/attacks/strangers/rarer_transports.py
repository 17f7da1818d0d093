"""Connects by protocols that a rule about TCP does not know: MPTCP, SCTP, DCCP, UDP-Lite, SMC, and TCP on raw sockets.

Stopped by: network namespace, seccomp
Succeeds by: harm
"""

import contextlib
import json
import os
import socket

MPTCP, SCTP, DCCP, UDP_LITE, AF_SMC, SOCK_DCCP = 262, 132, 33, 136, 43, 6
bait = json.loads(os.environ["BAIT"])
for address, port in bait["tcp"]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind, protocol in (
        (socket.SOCK_STREAM, MPTCP),
        (socket.SOCK_STREAM, SCTP),
        (socket.SOCK_SEQPACKET, SCTP),
        (SOCK_DCCP, DCCP),
    ):
        with contextlib.suppress(OSError), socket.socket(family, kind, protocol) as sock:
            sock.settimeout(2)
            sock.connect((address, port))
            print("reached", sock.recv(100))
    with contextlib.suppress(OSError), socket.socket(AF_SMC, socket.SOCK_STREAM, int(":" in address)) as sock:
        sock.settimeout(2)
        # For Python this family has no addresses: only the descriptor is of use.
        with socket.socket(family, socket.SOCK_STREAM, fileno=os.dup(sock.fileno())) as same:
            same.settimeout(2)
            same.connect((address, port))
            print("reached", same.recv(100))
for address, port in bait["udp"]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM, UDP_LITE) as sock:
        sock.sendto(b"here I am", (address, port))
print("tried")
