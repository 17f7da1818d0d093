"""Asks about the bait by each call that takes a process number and that nobody thinks of: session, clocks, futexes.

Stopped by: pid namespace
Not at: reduced - that a process with a certain number exists can be learned, with its group, session and priority
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import time

libc = ctypes.CDLL(None, use_errno=True)
IOPRIO_GET, GET_ROBUST_LIST, KCMP = (252, 274, 312) if os.uname().machine == "x86_64" else (31, 100, 272)
CPUCLOCK_SCHED = 2
pid = json.loads(os.environ["BAIT"])["pid"]
questions = {
    "kill": lambda: os.kill(pid, 0),
    "getpgid": lambda: os.getpgid(pid),
    "getsid": lambda: os.getsid(pid),
    "getpriority": lambda: os.getpriority(os.PRIO_PROCESS, pid),
    "getpriority of the group": lambda: os.getpriority(os.PRIO_PGRP, pid),
    "sched_getaffinity": lambda: os.sched_getaffinity(pid),
    "sched_getscheduler": lambda: os.sched_getscheduler(pid),
    "sched_getparam": lambda: os.sched_getparam(pid),
    "sched_rr_get_interval": lambda: os.sched_rr_get_interval(pid),
    "prlimit": lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE),
    "pidfd_open": lambda: os.close(os.pidfd_open(pid)),
    "its CPU time": lambda: time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED),
    "waitid": lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT),
    "kill of the group": lambda: os.killpg(pid, 0),
    "SIGCONT": lambda: os.kill(pid, signal.SIGCONT),
}
if pid != os.getpid():
    for name, ask in questions.items():
        with contextlib.suppress(OSError):
            print("ESCAPED:", name, "answers", ask())
    head, size = ctypes.c_void_p(), ctypes.c_size_t()
    for name, number, arguments in (
        ("ioprio_get", IOPRIO_GET, (1, pid)),
        ("kcmp", KCMP, (os.getpid(), pid, 2, 0, 0)),
    ):
        if libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) >= 0:
            print("ESCAPED:", name, "answers")
    pointers = (ctypes.byref(head), ctypes.byref(size))
    if libc.syscall(ctypes.c_long(GET_ROBUST_LIST), ctypes.c_long(pid), *pointers) == 0:
        print("ESCAPED: an address in another process", head.value)
print("tried")
