"""Two sessions hear each other in a multicast group and by broadcast, for which nobody needs an address.

Stopped by: network namespace, seccomp
Sessions: 2
"""

import contextlib
import os
import select
import socket
import struct
import time

GROUP, GROUP6, PORT = "239.66.74.1", "ff01::6a:1", 47114
role = os.environ["ROLE"].encode()
sockets, targets = [], []
with contextlib.suppress(OSError):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.bind(("", PORT))
    sockets.append(sock)
    loopback = socket.inet_aton("127.0.0.1")
    targets += [(sock, ("127.255.255.255", PORT)), (sock, ("255.255.255.255", PORT))]
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + loopback)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
    targets.append((sock, (GROUP, PORT)))
with contextlib.suppress(OSError):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("::", PORT))
    sockets.append(sock)
    index = socket.if_nametoindex("lo")
    membership = socket.inet_pton(socket.AF_INET6, GROUP6) + struct.pack("@I", index)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
    targets.append((sock, (GROUP6, PORT, 0, index)))
deadline = time.monotonic() + 5
while sockets and time.monotonic() < deadline:
    for sock, address in targets:
        with contextlib.suppress(OSError):
            sock.sendto(role, address)
    heard = {sock.recv(100) for sock in select.select(sockets, [], [], 0.05)[0]} - {role}
    if heard:
        print("ESCAPED: heard another session", heard)
        for sock, address in targets * 3:  # the other one may have come later
            with contextlib.suppress(OSError):
                sock.sendto(role, address)
        break
print("tried")
