"""Takes open descriptors out of other processes with pidfd_getfd, without asking them.

Stopped by: pid namespace, seccomp
"""

import ctypes
import json
import os

libc = ctypes.CDLL(None, use_errno=True)
PIDFD_GETFD = 438
for pid in (json.loads(os.environ["BAIT"])["pid"], 1, os.getppid()):
    if pid in (0, os.getpid()):
        continue
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        continue
    for number in range(64):
        fd = libc.syscall(
            ctypes.c_long(PIDFD_GETFD), ctypes.c_long(pidfd), ctypes.c_long(number), ctypes.c_long(0)
        )
        if fd >= 0:
            print("ESCAPED: descriptor", number, "of", pid, os.readlink(f"/proc/self/fd/{fd}"))
            os.close(fd)
    os.close(pidfd)
print("tried")
