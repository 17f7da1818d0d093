"""Takes what no cgroup counts: real-time priority, locked memory, huge pages, higher limits, watches.

Stopped by: seccomp, capabilities, rlimits
"""

import ctypes
import os
import resource

libc = ctypes.CDLL(None, use_errno=True)
for attempt in (
    lambda: os.nice(-20),
    lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
    lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)),
    lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)),
):
    try:
        attempt()
        print("ESCAPED: a priority")
    except OSError:
        pass
for name in ("NOFILE", "CORE", "MEMLOCK", "SIGPENDING", "MSGQUEUE", "FSIZE", "NICE", "RTPRIO"):
    number = getattr(resource, f"RLIMIT_{name}", None)
    if number is not None:
        hard = resource.getrlimit(number)[1]
        for wanted in (resource.RLIM_INFINITY, hard + 1):
            try:
                resource.setrlimit(number, (wanted, wanted))
                if hard != resource.RLIM_INFINITY:
                    print("ESCAPED: a higher limit of", name)
            except (OSError, ValueError):
                pass
size = 64 * 2**20
buffer = ctypes.create_string_buffer(size)
if libc.mlock(buffer, ctypes.c_size_t(size)) == 0 or libc.mlockall(3) == 0:
    print("ESCAPED: locked memory")
if libc.inotify_init() >= 0 or libc.inotify_init1(0) >= 0:
    print("ESCAPED: watches, which are counted for all sessions together")
fd = libc.memfd_create(b"huge", 4)
if fd >= 0:
    try:
        os.write(fd, b"x")
        print("ESCAPED: huge pages")
    except OSError:
        pass
print("tried")
