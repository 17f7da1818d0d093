"""Asks for session, group, priority, processors and policy of other processes, by their numbers and by their user.

Stopped by: pid namespace
Not at: reduced - that a process with a certain number exists can be learned, with its group, session and priority
"""

import contextlib
import json
import os

bait = json.loads(os.environ["BAIT"])
questions = {
    "getpgid": os.getpgid,
    "getsid": os.getsid,
    "getpriority": lambda pid: os.getpriority(os.PRIO_PROCESS, pid),
    "getpriority of the group": lambda pid: os.getpriority(os.PRIO_PGRP, pid),
    "sched_getaffinity": os.sched_getaffinity,
    "sched_getscheduler": os.sched_getscheduler,
    "sched_getparam": os.sched_getparam,
    "sched_rr_get_interval": os.sched_rr_get_interval,
}
for pid in {bait["pid"], os.getppid()} - {0, 1, os.getpid()}:
    for name, ask in questions.items():
        with contextlib.suppress(OSError):
            print("ESCAPED:", name, "of", pid, "answers", ask(pid))
# All processes of a user at once: those that are out of sight are not asked.
if bait["uid"] not in (0, os.getuid()):  # 0 stands for its own
    with contextlib.suppress(OSError):
        priority = os.getpriority(os.PRIO_USER, bait["uid"])
        print("ESCAPED: getpriority of the user", bait["uid"], "answers", priority)
print("tried")
