"""Sets priority, processors, limits and chances of survival of others, to the values that they have already.

Stopped by: pid namespace, own uid, capabilities
"""

import contextlib
import ctypes
import json
import os
import resource

libc = ctypes.CDLL(None, use_errno=True)
IOPRIO_SET = 251 if os.uname().machine == "x86_64" else 30
bait = json.loads(os.environ["BAIT"])
for pid in {bait["pid"], 1, os.getppid()} - {0, os.getpid()}:
    for what, attempt in {
        "the priority": lambda pid: os.setpriority(
            os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid)
        ),
        "the processors": lambda pid: os.sched_setaffinity(pid, os.sched_getaffinity(pid)),
        "the policy": lambda pid: os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0)),
        "a limit": lambda pid: resource.prlimit(
            pid, resource.RLIMIT_NOFILE, resource.prlimit(pid, resource.RLIMIT_NOFILE)
        ),
        "the group": lambda pid: os.setpgid(pid, os.getpgid(pid)),
    }.items():
        with contextlib.suppress(OSError):
            attempt(pid)
            print("ESCAPED: set", what, "of", pid)
    # Best effort, level 4: what a process with nice 0 has anyway.
    if (
        libc.syscall(ctypes.c_long(IOPRIO_SET), ctypes.c_long(1), ctypes.c_long(pid), ctypes.c_long(0x4004))
        == 0
    ):
        print("ESCAPED: set the disk's priority of", pid)
    for name in (
        "oom_score_adj",
        "oom_adj",
        "autogroup",
        "timerslack_ns",
        "coredump_filter",
        "comm",
        "sched",
    ):
        with contextlib.suppress(OSError):
            os.close(os.open(f"/proc/{pid}/{name}", os.O_WRONLY))
            print("ESCAPED: may write", name, "of", pid)
# All processes of a user at once: those that are out of sight are not asked.
if bait["uid"] not in (0, os.getuid()):  # 0 stands for its own
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_USER, bait["uid"], os.getpriority(os.PRIO_USER, bait["uid"]))
        print("ESCAPED: set the priority of a user")
print("tried")
