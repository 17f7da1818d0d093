"""Asks about the bait by calls that take a process number: signals, limits, waits, handles, futexes, disks.

Stopped by: pid namespace, seccomp, Landlock
"""

import contextlib
import ctypes
import json
import os
import resource
import signal

libc = ctypes.CDLL(None, use_errno=True)
IOPRIO_GET, GET_ROBUST_LIST, KCMP = (252, 274, 312) if os.uname().machine == "x86_64" else (31, 100, 272)
pid = json.loads(os.environ["BAIT"])["pid"]
questions = {
    "kill": lambda: os.kill(pid, 0),
    "prlimit": lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE),
    "pidfd_open": lambda: os.close(os.pidfd_open(pid)),
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
