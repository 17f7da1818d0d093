"""Sends datagrams that are never finished: what waits for more in a socket is in no buffer that anybody counts.

Stopped by: seccomp
Ends: completed, raised, out_of_memory
"""

import contextlib
import ctypes
import os
import select
import socket
import time

CHILDREN, SOCKETS = 16, 400
libc = ctypes.CDLL(None)
reading, writing = os.pipe()


def cork(held: list) -> int:
    """One more socket with a datagram that is not sent yet; it then leaves the kernel's lists as well."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    held.append(sock)
    sock.connect(("127.0.0.1", 9))
    total = 0
    with contextlib.suppress(OSError):
        for _ in range(60):
            total += sock.send(bytes(1000), socket.MSG_MORE | socket.MSG_DONTWAIT)
    libc.connect(sock.fileno(), bytes(16), 16)
    return total


def fill() -> None:
    held, total = [], 0
    with contextlib.suppress(OSError):
        while len(held) < SOCKETS:
            total += cork(held)
    os.write(writing, total.to_bytes(8, "big"))
    time.sleep(20)


children = []
for _ in range(CHILDREN):
    if (pid := os.fork()) == 0:
        fill()
        os._exit(0)
    children.append(pid)
counted, deadline = [], time.monotonic() + 9
while len(counted) < CHILDREN and select.select([reading], [], [], max(0, deadline - time.monotonic()))[0]:
    counted.append(int.from_bytes(os.read(reading, 8), "big"))
for _ in range(50):
    time.sleep(0.01)
alive = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
if sum(counted) > 256 * 2**20 and len(alive) == CHILDREN:
    print("ESCAPED:", sum(counted) // 2**20, "MiB in sockets")
for pid in alive:
    os.kill(pid, 9)
print("tried")
