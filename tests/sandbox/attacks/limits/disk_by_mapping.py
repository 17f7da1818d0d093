"""Maps files that are all hole, which cost nothing, and fills the holes by writing to memory, with no call of write.

Stopped by: tmpfs
Ends: completed, disk_full, out_of_memory
"""

import contextlib
import mmap
import os
import tempfile
import time

EACH, FILES = 60 * 2**20, 3
held = [tempfile.mkstemp() for _ in range(FILES)]
for fd, name in held:
    os.unlink(name)
    with contextlib.suppress(OSError):
        os.ftruncate(fd, EACH)
# In a child: where there is no page left for a hole, the kernel says so with SIGBUS.
if (child := os.fork()) == 0:
    for fd, _ in held:
        pages = mmap.mmap(fd, EACH)
        for at in range(0, EACH, 4096):
            pages[at] = 1
    os._exit(0)
print("its end:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
for _ in range(100):
    time.sleep(0.01)
total = sum(os.fstat(fd).st_blocks * 512 for fd, _ in held)
if total > 64 * 2**20:
    print("ESCAPED:", total // 2**20, "MiB in files")
print("tried")
