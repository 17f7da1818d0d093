"""Starts eight children, none of which takes more than a fifth of the memory, and which together take double.

Stopped by: cgroup
Ends: completed, out_of_memory
"""

import contextlib
import os
import select
import time

CHILDREN, EACH = 8, 64 * 2**20  # of 256 MiB
reading, writing = os.pipe()
children = []
for _ in range(CHILDREN):
    with contextlib.suppress(OSError):
        pid = os.fork()
        if pid == 0:
            held = b"x" * EACH
            os.write(writing, b"x")
            time.sleep(20)
            os._exit(len(held) & 1)
        children.append(pid)
ready, deadline = 0, time.monotonic() + 5
while ready < CHILDREN and select.select([reading], [], [], max(0, deadline - time.monotonic()))[0]:
    ready += len(os.read(reading, CHILDREN))
for _ in range(100):
    time.sleep(0.01)
alive = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
if ready == CHILDREN and len(alive) * EACH > 256 * 2**20:
    print("ESCAPED:", len(alive) * EACH // 2**20, "MiB in children")
for pid in alive:
    os.kill(pid, 9)
print("tried")
