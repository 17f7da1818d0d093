"""Asks the kernel by netlink who else is there: interfaces, routes, and every socket with its owner.

Stopped by: seccomp, network namespace
"""

import contextlib
import socket
import struct

NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_CONNECTOR, NETLINK_KOBJECT_UEVENT = 0, 4, 11, 15
REQUEST_DUMP, DONE, ERROR = 0x301, 3, 2
RTM_GETLINK, RTM_GETADDR, SOCK_DIAG_BY_FAMILY = 18, 22, 20


def asked(protocol, kind, body):
    """The kinds and bodies of the answers to a question."""
    answers = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as sock:
        sock.settimeout(2)
        sock.bind((0, 0))
        sock.send(struct.pack("=IHHII", 16 + len(body), kind, REQUEST_DUMP, 1, 0) + body)
        while True:
            data = sock.recv(65536)
            while data:
                length, answer = struct.unpack_from("=IH", data)
                if answer in (DONE, ERROR):
                    return answers
                answers.append(data[16:length])
                data = data[(length + 3) & ~3 :]


for name, protocol, kind, body in (
    ("interfaces", NETLINK_ROUTE, RTM_GETLINK, bytes(16)),
    ("addresses", NETLINK_ROUTE, RTM_GETADDR, bytes(8)),
    (
        "Unix sockets",
        NETLINK_SOCK_DIAG,
        SOCK_DIAG_BY_FAMILY,
        struct.pack("=BBHIII8x", 1, 0, 0, 0xFFFFFFFF, 0, 7),
    ),
    ("TCP sockets", NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, struct.pack("=BBBBI48x", 2, 6, 0, 0, 0xFFFFFFFF)),
):
    with contextlib.suppress(OSError):
        if found := asked(protocol, kind, body):
            print("ESCAPED:", len(found), name)
for protocol, group in ((NETLINK_CONNECTOR, 1), (NETLINK_KOBJECT_UEVENT, 1), (NETLINK_ROUTE, 1)):
    with contextlib.suppress(OSError), socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, protocol) as sock:
        sock.bind((0, group))
        print("ESCAPED: listens to the kernel's events", protocol)
print("tried")
