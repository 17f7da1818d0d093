"""Sends words out by UDP in the ways that need no connect: mapped addresses, the zero address, corked and in bulk.

Stopped by: network namespace, seccomp
Succeeds by: harm
"""

import contextlib
import ctypes
import json
import os
import socket

libc = ctypes.CDLL(None, use_errno=True)
bait = json.loads(os.environ["BAIT"])
for address, port in bait["udp"]:
    targets = [(socket.AF_INET6, (address, port))]
    if ":" not in address:
        targets = [(socket.AF_INET, (address, port)), (socket.AF_INET6, (f"::ffff:{address}", port))]
        targets += [(socket.AF_INET, ("0.0.0.0", port))] if address.startswith("127.") else []
    for family, target in targets:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"leaked", target)
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            # Corked: collected in two calls, and sent by the third.
            sock.setsockopt(socket.IPPROTO_UDP, 1, 1)
            sock.sendto(b"lea", socket.MSG_MORE, target)
            sock.sendto(b"ked", target)
            sock.setsockopt(socket.IPPROTO_UDP, 1, 0)
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(target)
            os.write(sock.fileno(), b"leaked")
print("tried")
