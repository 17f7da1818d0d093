"""Starts threads in several processes, for threads might be counted for each process, or not at all.

Stopped by: cgroup, rlimits
Ends: completed, crashed
"""

import contextlib
import os
import select
import signal
import threading
import time

threading.stack_size(64 * 1024)
reading, writing = os.pipe()
children = []
for _ in range(6):
    with contextlib.suppress(OSError):
        if (pid := os.fork()) == 0:
            over, started = threading.Event(), 0
            with contextlib.suppress(RuntimeError):
                for _ in range(30):
                    threading.Thread(target=over.wait, daemon=True).start()
                    started += 1
            os.write(writing, bytes([started]))
            time.sleep(15)
            os._exit(0)
        children.append(pid)
counts, deadline = b"", time.monotonic() + 5
while (
    len(counts) < len(children) and select.select([reading], [], [], max(0, deadline - time.monotonic()))[0]
):
    counts += os.read(reading, 16)
for _ in range(100):
    time.sleep(0.01)
alive = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
print(list(counts), "threads")
if len(alive) == len(children) and sum(counts) + len(alive) > 64:
    print("ESCAPED:", sum(counts) + len(alive), "threads and processes")
for pid in alive:
    os.kill(pid, signal.SIGKILL)
print("tried")
