"""Starts processes that sleep until there are more of them at one time than it may have.

Stopped by: cgroup, rlimits
Ends: completed, crashed
"""

import contextlib
import os
import signal
import time

children = []
with contextlib.suppress(OSError):
    while len(children) < 150:
        if (pid := os.fork()) == 0:
            time.sleep(15)
            os._exit(0)
        children.append(pid)
for _ in range(100):
    time.sleep(0.01)
alive = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
if len(alive) > 64:
    print("ESCAPED:", len(alive), "processes")
for pid in alive:
    os.kill(pid, signal.SIGKILL)
print("tried")
