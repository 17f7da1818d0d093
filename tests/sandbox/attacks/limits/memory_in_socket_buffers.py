"""Sends itself what it never reads: the buffers of sockets are the kernel's memory, and in no process.

Stopped by: cgroup
Ends: completed, out_of_memory
Not at: limited - buffers of sockets are the kernel's own memory, which only a cgroup counts
"""

import contextlib
import os
import select
import socket
import time

PIECE = bytes(32768)
reading, writing = os.pipe()


def fill() -> int:
    """Fill as many sockets as one process may have; returns how many bytes lie in them."""
    held, total = [], 0
    with contextlib.suppress(OSError):
        while len(held) < 480:
            pair = socket.socketpair()
            held.append(pair)
            for end in pair:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
                end.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while total < 100 * 2**20:
                        total += end.send(PIECE)
    os.write(writing, total.to_bytes(8, "big"))
    time.sleep(20)
    return total


children = []
for _ in range(4):
    if (pid := os.fork()) == 0:
        fill()
        os._exit(0)
    children.append(pid)
held, deadline = [], time.monotonic() + 8
while len(held) < 4 and select.select([reading], [], [], max(0, deadline - time.monotonic()))[0]:
    held.append(int.from_bytes(os.read(reading, 8), "big"))
for _ in range(100):
    time.sleep(0.01)
alive = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
if len(alive) == 4 and sum(held) > 256 * 2**20:
    print("ESCAPED:", sum(held) // 2**20, "MiB in sockets")
for pid in alive:
    os.kill(pid, 9)
print("tried")
