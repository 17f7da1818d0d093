"""Two sessions meet at a socket that has a name and no file.

Stopped by: network namespace, Landlock
Sessions: 2
"""

import contextlib
import os
import socket
import time

NAME = "\0belljar-rendezvous"
deadline = time.monotonic() + 5
kinds = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM)
if os.environ["ROLE"] == "one":
    # Datagrams need no accept: what lies in the queue is enough.
    open_sockets = []
    with contextlib.suppress(PermissionError):
        open_sockets = [socket.socket(socket.AF_UNIX, kind) for kind in kinds]
    for sock, kind in zip(open_sockets, kinds, strict=bool(open_sockets)):
        sock.bind(f"{NAME}-{kind}")
        sock.settimeout(0.1)
    for sock in open_sockets[:2]:
        sock.listen()
    while open_sockets and time.monotonic() < deadline:
        for sock in open_sockets[:2]:
            with contextlib.suppress(OSError):
                sock.accept()
                print("ESCAPED: another session came in")
                deadline = 0
        with contextlib.suppress(OSError):
            print("ESCAPED: another session wrote", open_sockets[2].recv(100))
            deadline = 0
else:
    while time.monotonic() < deadline:
        for kind in kinds:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sock:
                sock.connect(f"{NAME}-{kind}")
                sock.send(b"here I am")
                print("ESCAPED: reached another session", kind)
                deadline = 0
        time.sleep(0.02)
print("tried")
