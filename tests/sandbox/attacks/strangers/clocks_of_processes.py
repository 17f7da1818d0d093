"""Reads how much CPU time other processes have used: each has a clock, whose number is made of the process's.

Stopped by: pid namespace, seccomp
"""

import contextlib
import ctypes
import json
import os
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
PROF, VIRTUAL, SCHEDULED, OF_A_THREAD = 0, 1, 2, 4
TIMER_ABSTIME = 1
pids = (os.getpid(), os.getppid(), json.loads(os.environ["BAIT"])["pid"])
beginning = (ctypes.c_long * 2)(0, 0)  # a struct timespec: what is to be waited for is over


def sleeps(clock):
    if error := libc.clock_nanosleep(clock, TIMER_ABSTIME, beginning, None):
        raise OSError(error, os.strerror(error))


ways = {"has used": time.clock_gettime, "is counted in": time.clock_getres, "wakes a sleep": sleeps}
near = {pid + step for pid in pids for step in range(-64, 65)}
# Its own threads lead to its own clock. Pid 1 is the box's, where there is one; and children it has none.
own = {os.getpid(), *(thread.native_id for thread in threading.enumerate())}
with contextlib.suppress(OSError):
    own |= set(map(int, os.listdir("/proc/self/task")))
for pid in sorted((near | set(range(512))) - own):
    if pid < 2:
        continue
    for kind in (PROF, VIRTUAL, SCHEDULED, SCHEDULED | OF_A_THREAD):
        for what, ask in ways.items():
            with contextlib.suppress(OSError):
                print("ESCAPED:", pid, what, ask((~pid << 3) | kind), "clock", kind)
print("tried")
