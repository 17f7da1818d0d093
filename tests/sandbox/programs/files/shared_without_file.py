"""Shares anonymous memory with a child, through a mapping of its own and through /dev/zero.

Not at: without cgroup - nobody could count it
"""

import mmap
import os
import struct

zero = os.open("/dev/zero", os.O_RDWR)
views = [mmap.mmap(-1, 4096), mmap.mmap(zero, 4096)]
pid = os.fork()
if pid == 0:
    for view in views:
        view[:8] = struct.pack("<q", 2**40)
    os._exit(0)
os.waitpid(pid, 0)
for view in views:
    assert struct.unpack("<q", view[:8]) == (2**40,)
print("done")
