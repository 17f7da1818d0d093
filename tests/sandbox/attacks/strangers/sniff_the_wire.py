"""Listens to all packets of the loopback interface, whoever they are for, and makes some of its own.

Stopped by: seccomp, network namespace, capabilities
"""

import contextlib
import socket

ETH_P_ALL, ETH_P_IP = 3, 0x800
for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM, 10):
    for protocol in (ETH_P_ALL, ETH_P_IP):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_PACKET, kind, socket.htons(protocol)) as sock,
        ):
            print("ESCAPED: a packet socket", kind)
            sock.settimeout(1)
            sock.bind(("lo", protocol))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"not for you", ("127.0.0.1", 9))
            print("ESCAPED: heard", sock.recv(2048)[-11:])
for protocol in (socket.IPPROTO_ICMP, socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_RAW):
    with contextlib.suppress(OSError):
        socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol).close()
        print("ESCAPED: a raw socket", protocol)
print("tried")
