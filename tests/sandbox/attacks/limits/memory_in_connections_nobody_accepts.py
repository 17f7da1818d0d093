"""Fills connections that it never accepts: until somebody does, they and what was sent are the kernel's own.

Stopped by: clock
Ends: completed, out_of_memory
Limits: memory_bytes=64 MiB
"""

import contextlib
import socket
import time

MOST, PIECE = 96 * 2**20, bytes(60_000)
listening, total = [], 0
with contextlib.suppress(OSError):
    deadline = time.monotonic() + 8
    while total < MOST and time.monotonic() < deadline:
        server = socket.socket()
        server.bind((f"127.0.0.{len(listening) % 200 + 2}", 0))
        server.listen(4096)
        listening.append(server)
        for _ in range(1000):
            client = socket.socket()
            client.settimeout(1)
            client.connect(server.getsockname())
            total += client.send(PIECE)
            client.close()
for _ in range(200):
    time.sleep(0.01)
if total >= MOST:
    print("ESCAPED:", total // 2**20, "MiB in connections")
print("tried")
