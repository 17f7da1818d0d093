"""Takes memory as a shared mapping without a file: no rlimit of a process counts its pages.

Stopped by: cgroup
Ends: out_of_memory, completed
"""

import mmap
import time

SIZE = 384 * 2**20  # of 256 MiB

try:
    held = mmap.mmap(-1, SIZE, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
except (OSError, MemoryError):
    print("refused")
else:
    for at in range(0, SIZE, 4096):
        held[at] = 1
    for _ in range(100):
        time.sleep(0.01)
    print("ESCAPED:", sum(held[at] for at in range(0, SIZE, 4096)) // 256, "MiB of shared memory")
print("tried")
