"""Fills connections that it never accepts, few of them, each with a receive buffer as large as it can be made.

Stopped by: seccomp
Ends: completed, out_of_memory, raised
Limits: memory_bytes=64 MiB
"""

import contextlib
import socket
import time

MOST, EACH, PIECE = 96 * 2**20, 4 * 2**20, bytes(2**16)
server = socket.socket()
# Either makes the buffers of what connects larger, as far as the machine lets them be: 8 MiB and 32 MiB, as it comes.
for option in (socket.SO_RCVBUF, socket.SO_RCVLOWAT):
    with contextlib.suppress(OSError):
        server.setsockopt(socket.SOL_SOCKET, option, 2**24)
server.bind(("127.0.0.1", 0))
server.listen(100)
total, deadline = 0, time.monotonic() + 6
while total < MOST and time.monotonic() < deadline:
    client = socket.socket()
    # What waits to be sent is the session's own: as little as can be.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
    client.connect(server.getsockname())
    client.settimeout(0.3)
    with contextlib.suppress(OSError):
        sent = 0
        while sent < EACH:
            sent += client.send(PIECE)
        total += sent
    client.close()
for _ in range(100):
    time.sleep(0.01)
if total >= MOST:
    print("ESCAPED:", total // 2**20, "MiB in connections")
print("tried")
