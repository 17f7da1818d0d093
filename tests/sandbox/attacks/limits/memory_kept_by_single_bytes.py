"""Leaves single bytes in many connections, each the last user of a large page: the bytes are counted, the pages not.

Stopped by: clock
Ends: completed, out_of_memory
Limits: memory_bytes=64 MiB
"""

import contextlib
import socket
import time

MOST, PAGE, EACH = 320 * 2**20, 2**15, 1000
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(100)


def pair():
    client = socket.socket()
    client.connect(server.getsockname())
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server.accept()[0]


rest, reader = pair()
held, total = [], 0
with contextlib.suppress(OSError):
    while total < MOST:
        client, other = pair()
        held.append((client, other))
        client.setblocking(False)
        for _ in range(EACH):
            client.send(b"x")
            total += PAGE
            # The rest of the page, which is free again at once.
            rest.send(bytes(PAGE - 8))
            left = PAGE - 8
            while left:
                left -= len(reader.recv(left))
# They are to be kept for a while.
time.sleep(2)
if total >= MOST:
    print("ESCAPED:", total // 2**20, "MiB by", len(held), "connections")
print("tried")
