"""Deletes each file before it is written, and lets a child that is asleep keep it open: who adds up names sees nothing.

Stopped by: tmpfs
Ends: completed, disk_full
"""

import contextlib
import os
import signal
import tempfile
import time

EACH = 24 * 2**20
children, total = [], 0
for _ in range(5):
    with contextlib.suppress(OSError):
        held, name = tempfile.mkstemp()
        os.unlink(name)
        if (pid := os.fork()) == 0:
            time.sleep(20)
            os._exit(0)
        children.append(pid)
        with contextlib.suppress(OSError):
            while os.fstat(held).st_size < EACH:
                os.write(held, bytes(2**20))
        total += os.fstat(held).st_blocks * 512
        os.close(held)
for _ in range(100):
    time.sleep(0.01)
alive = all(os.waitpid(pid, os.WNOHANG)[0] == 0 for pid in children)
print(total, "bytes are held by", len(children))
if total > 64 * 2**20 and alive:
    print("ESCAPED:", total // 2**20, "MiB in files without names")
for pid in children:
    os.kill(pid, signal.SIGKILL)
print("tried")
