"""Sends an echo request, by the socket that needs no root and by the raw one, and waits for somebody to answer.

Stopped by: seccomp, network namespace
"""

import contextlib
import json
import os
import socket
import struct


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def echo(kind):
    request = struct.pack("!BBHHH8s", kind, 0, 0, 77, 1, b"belljar!")
    return request[:2] + struct.pack("!H", checksum(request)) + request[4:]


hosts = {address for address, _ in json.loads(os.environ["BAIT"])["tcp"]} | {"127.0.0.1", "::1"}
for host in sorted(hosts):
    family, protocol, kind, answer = (
        (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129)
        if ":" in host
        else (socket.AF_INET, socket.IPPROTO_ICMP, 8, 0)
    )
    for way in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        with contextlib.suppress(OSError), socket.socket(family, way, protocol) as sock:
            sock.settimeout(1)
            sock.sendto(echo(kind), (host, 0))
            for _ in range(3):  # the raw one hears our own question too
                data = sock.recv(2048)
                start = 20 if way == socket.SOCK_RAW and family == socket.AF_INET else 0
                if data[start] == answer:
                    print("ESCAPED:", host, "answers")
                    break
print("tried")
