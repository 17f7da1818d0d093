"""Has each process wait inside the kernel for one that it has made as vfork does, a hundred deep: none of them runs.

Stopped by: cgroup, rlimits
Ends: completed, crashed
"""

import ctypes
import os
import platform
import select
import signal
import time

CLONE, VFORK, SIGCHLD = (56 if platform.machine() == "x86_64" else 220), 0x4000, 17

clone = ctypes.PyDLL(None).syscall
call = [ctypes.c_long(number) for number in (CLONE, VFORK | SIGCHLD, 0, 0, 0, 0)]
reading, writing = os.pipe()
if (child := os.fork()) == 0:
    os.setpgid(0, 0)
    for _ in range(100):
        os.write(writing, b"x")
        if clone(*call) != 0:
            break  # the last one, or one whose child has ended
    else:
        os.write(writing, b"x")
    time.sleep(10)
    os._exit(0)
os.close(writing)
count = 0
while select.select([reading], [], [], 2)[0] and (piece := os.read(reading, 256)):
    count += len(piece)
print(count, "deep")
if count > 64 and os.waitpid(child, os.WNOHANG)[0] == 0:
    print("ESCAPED:", count, "processes that wait for each other")
os.killpg(child, signal.SIGKILL)
print("tried")
