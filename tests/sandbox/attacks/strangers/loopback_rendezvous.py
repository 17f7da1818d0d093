"""Two sessions meet at a port of the loopback interface, by TCP and by UDP.

Stopped by: network namespace, seccomp, Landlock
Sessions: 2
"""

import contextlib
import os
import select
import socket
import time

PORT = 47113
ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
deadline = time.monotonic() + 5
is_listening = os.environ["ROLE"] == "one"
listening = []
if is_listening:
    for family, address in ADDRESSES:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with contextlib.suppress(OSError):
                sock = socket.socket(family, kind)
                sock.bind((address, PORT))
                if kind == socket.SOCK_STREAM:
                    sock.listen()
                listening.append(sock)
while time.monotonic() < deadline:
    if is_listening:
        if not listening:
            break
        ready, _, _ = select.select(listening, [], [], 0.2)
        if ready:
            print("ESCAPED: another session called", ready)
            break
        continue
    has_reached = has_socket = False
    for family, address in ADDRESSES:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            has_socket = True
            sock.sendto(b"here I am", (address, PORT))
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as sock:
            has_socket = True
            sock.settimeout(1)
            sock.connect((address, PORT))
            has_reached = True
    if has_reached:
        print("ESCAPED: reached another session")
    if has_reached or not has_socket:
        break
    time.sleep(0.02)
print("tried")
