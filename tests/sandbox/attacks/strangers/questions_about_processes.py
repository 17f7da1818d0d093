"""Asks about others by each call that takes a process number and that nobody thinks of: limits, handles, futexes.

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
PROCESS, GROUP, FILES, FS = 1, 2, 2, 3
bait = json.loads(os.environ["BAIT"])["pid"]
questions = {
    "kill": lambda pid: os.kill(pid, 0),
    "prlimit": lambda pid: resource.prlimit(pid, resource.RLIMIT_NOFILE),
    "pidfd_open": lambda pid: os.close(os.pidfd_open(pid)),
    "waitid": lambda pid: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT),
    "kill of the group": lambda pid: os.killpg(pid, 0),
    "SIGCONT": lambda pid: os.kill(pid, signal.SIGCONT),
}
for pid in {bait, os.getppid()} - {0, 1, os.getpid()}:
    for name, ask in questions.items():
        with contextlib.suppress(OSError):
            print("ESCAPED:", name, "answers", ask(pid))
    for name, number, arguments in (
        ("ioprio_get", IOPRIO_GET, (PROCESS, pid)),
        ("ioprio_get of the group", IOPRIO_GET, (GROUP, pid)),
        ("kcmp of files", KCMP, (os.getpid(), pid, FILES, 0, 0)),
        ("kcmp of the root", KCMP, (os.getpid(), pid, FS, 0, 0)),
    ):
        if libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) >= 0:
            print("ESCAPED:", name, "answers")
    head, size = ctypes.c_void_p(), ctypes.c_size_t()
    pointers = (ctypes.byref(head), ctypes.byref(size))
    if libc.syscall(ctypes.c_long(GET_ROBUST_LIST), ctypes.c_long(pid), *pointers) == 0:
        print("ESCAPED: an address in another process", head.value)
print("tried")
