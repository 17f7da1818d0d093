"""Reserves space behind the end of its files, which stay empty to whoever asks for their size.

Stopped by: tmpfs
Ends: completed, disk_full
"""

import contextlib
import ctypes
import os
import tempfile
import time

KEEP_SIZE = 1
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
held = []
with contextlib.suppress(OSError):
    for _ in range(12):
        fd, name = tempfile.mkstemp()
        os.unlink(name)
        held.append(fd)
        if libc.fallocate(fd, KEEP_SIZE, 0, 16 * 2**20) != 0:
            break
for _ in range(100):
    time.sleep(0.01)
total = sum(os.fstat(fd).st_blocks * 512 for fd in held)
if total > 64 * 2**20:
    print("ESCAPED:", total // 2**20, "MiB reserved")
print("tried")
