"""Writes into files that have neither a name nor a place on any disk, and maps none of them.

Stopped by: cgroup, seccomp
Ends: out_of_memory, completed
"""

import contextlib
import os
import time

held = []
with contextlib.suppress(OSError):
    for number in range(6):
        fd = os.memfd_create(f"held {number}")
        held.append(fd)
        for _ in range(64):
            os.write(fd, bytes(2**20))
    for _ in range(100):
        time.sleep(0.01)
total = sum(os.fstat(fd).st_blocks * 512 for fd in held)
if total > 256 * 2**20:
    print("ESCAPED:", total // 2**20, "MiB in files without names")
print("tried")
