"""Computes in eight processes on every processor there is, each a session of its own and as urgent as it may be.

Stopped by: cgroup
Limits: cpus=0.1
Not at: limited - without a cgroup the processors are shared by whole numbers, and one is the least
"""

import contextlib
import os
import resource
import time

SECONDS = 3
begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
for _ in range(8):
    if os.fork() == 0:
        with contextlib.suppress(OSError):
            os.setsid()
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, range(os.cpu_count() or 1))
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, -20)
        while time.monotonic() < begun + SECONDS:
            pass
        os._exit(0)
with contextlib.suppress(ChildProcessError):
    while True:
        os.wait()
used = resource.getrusage(resource.RUSAGE_CHILDREN)
share = (used.ru_utime + used.ru_stime) / (time.monotonic() - begun)
print(f"{share:.2f} of a processor")
if share > 0.2:
    print(f"ESCAPED: {share:.2f} of a processor in place of 0.1")
print("tried")
