"""Collects dead processes that nobody has waited for: all that they use is a number, and the machine has so many.

Stopped by: cgroup, rlimits
Ends: completed, crashed
"""

import contextlib
import os
import time

dead = []
with contextlib.suppress(OSError):
    while len(dead) < 200:
        if (pid := os.fork()) == 0:
            os._exit(0)
        dead.append(pid)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it stays
for _ in range(100):
    time.sleep(0.01)
count = 0
for pid in dead:
    with contextlib.suppress(ChildProcessError):
        count += os.waitpid(pid, os.WNOHANG)[0] == pid
if count > 64:
    print("ESCAPED:", count, "dead processes")
print("tried")
