"""Fills shared memory piece by piece and lets go of each: its pages stay, and are in no process and in no file.

Stopped by: cgroup
Ends: out_of_memory, completed
"""

import contextlib
import mmap
import os
import time

PIECE, COUNT = 16 * 2**20, 24  # 384 of 256 MiB


def held(descriptor, flags):
    """How much of it is there after a while, in no process."""
    view = mmap.mmap(descriptor, PIECE * COUNT, flags)
    for start in range(0, PIECE * COUNT, PIECE):
        for at in range(start, start + PIECE, mmap.PAGESIZE):
            view[at] = 1
        view.madvise(mmap.MADV_DONTNEED, start, PIECE)
    for _ in range(100):
        time.sleep(0.01)
    total = 0
    for start in range(0, PIECE * COUNT, PIECE):
        total += sum(view[at] for at in range(start, start + PIECE, mmap.PAGESIZE))
        view.madvise(mmap.MADV_DONTNEED, start, PIECE)
    return total * mmap.PAGESIZE


with contextlib.suppress(OSError):
    print("ESCAPED:", held(-1, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS) // 2**20, "MiB of no file")
with contextlib.suppress(OSError):
    zero = os.open("/dev/zero", os.O_RDWR)
    print("ESCAPED:", held(zero, mmap.MAP_SHARED) // 2**20, "MiB of /dev/zero")
print("tried")
