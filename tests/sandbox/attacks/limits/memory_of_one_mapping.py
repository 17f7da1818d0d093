"""Touches every page of one private mapping that is half as large again as its memory, and keeps it for a second.

Stopped by: cgroup, rlimits
Ends: out_of_memory, completed
"""

import mmap
import time

SIZE = 384 * 2**20  # of 256 MiB

try:
    held = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
except (OSError, MemoryError):
    print("refused")
else:
    for at in range(0, SIZE, 4096):
        held[at] = 1
    for _ in range(100):
        time.sleep(0.01)
    print("ESCAPED:", sum(held[at] for at in range(0, SIZE, 4096)) // 256, "MiB in one mapping")
print("tried")
