"""Sends itself over the loopback what it never reads, by TCP and UDP: the kernel counts these buffers for the machine.

Stopped by: cgroup
Ends: completed, out_of_memory
"""

import contextlib
import os
import select
import socket
import time

CHILDREN, SOCKETS = 24, 400
PIECE = bytes(32768)
reading, writing = os.pipe()


def fill_tcp(server: socket.socket, held: list) -> int:
    """One connection more, filled on both sides."""
    total = 0
    ends = [socket.create_connection(server.getsockname(), timeout=1)]
    ends.append(server.accept()[0])
    held += ends
    for end in ends:
        end.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                total += end.send(PIECE)
    return total


def fill_udp(held: list) -> int:
    """One more socket that hears from itself."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    held.append(sock)
    sock.bind(("127.0.0.1", 0))
    for _ in range(6):
        sock.sendto(PIECE, socket.MSG_DONTWAIT, sock.getsockname())
    peeked = 0
    with contextlib.suppress(BlockingIOError):
        while len(data := sock.recv(65536, socket.MSG_DONTWAIT)):
            peeked += len(data)
    for _ in range(peeked // len(PIECE)):
        sock.sendto(PIECE, socket.MSG_DONTWAIT, sock.getsockname())
    return peeked


def fill() -> int:
    held, total = [], 0
    with contextlib.suppress(OSError):
        server = socket.create_server(("127.0.0.1", 0))
        deadline = time.monotonic() + 4
        while len(held) < SOCKETS and total < 40 * 2**20 and time.monotonic() < deadline:
            total += fill_udp(held) + fill_tcp(server, held)
    os.write(writing, total.to_bytes(8, "big"))
    time.sleep(20)
    return total


children = []
for _ in range(CHILDREN):
    if (pid := os.fork()) == 0:
        fill()
        os._exit(0)
    children.append(pid)
held, deadline = [], time.monotonic() + 9
while len(held) < CHILDREN and select.select([reading], [], [], max(0, deadline - time.monotonic()))[0]:
    held.append(int.from_bytes(os.read(reading, 8), "big"))
for _ in range(100):
    time.sleep(0.01)
alive = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
print(sum(held) // 2**20, "MiB in the sockets of", len(alive))
if sum(held) > 256 * 2**20 and len(alive) == CHILDREN:
    print("ESCAPED:", sum(held) // 2**20, "MiB in sockets")
for pid in alive:
    os.kill(pid, 9)
print("tried")
