"""Makes as many mappings as a process may have, and forks: each child has a copy of the list, and no page of memory.

Stopped by: cgroup
Timeout: 40
Limits: memory_bytes=96 MiB
Ends: completed, out_of_memory
Not at: limited - lists of mappings are the kernel's own memory, which only a cgroup counts
"""

import contextlib
import mmap
import os
import select
import time

CHILDREN, MAPPINGS, EACH = 12, 60_000, 150  # bytes that the kernel needs for one, at the very least

held = []
with contextlib.suppress(OSError, MemoryError):
    # Every other one may be run, so that no two neighbours become one; and none be written, so that it is no data.
    for number in range(MAPPINGS):
        runs = mmap.PROT_EXEC if number % 2 else 0
        held.append(mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | runs))
count = len(held)
reading, writing = os.pipe()
children = []
for _ in range(CHILDREN):
    with contextlib.suppress(OSError):
        if (pid := os.fork()) == 0:
            os.write(writing, b"x")
            time.sleep(30)
            os._exit(0)
        children.append(pid)
ready, deadline = 0, time.monotonic() + 20
while ready < len(children) and select.select([reading], [], [], max(0, deadline - time.monotonic()))[0]:
    ready += len(os.read(reading, CHILDREN))
for _ in range(100):
    time.sleep(0.01)
alive = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
print(count, "mappings in each of", len(alive))
if (total := (len(alive) + 1) * count * EACH) > 96 * 2**20:
    print("ESCAPED:", total // 2**20, "MiB of mappings at least")
for pid in alive:
    os.kill(pid, 9)
print("tried")
