"""Asks for the group, the session, the priority and the processors of the bait, by each call that takes its number.

Stopped by: pid namespace
Not at: reduced - that a process with a certain number exists can be learned, with its group and priority
"""

import contextlib
import json
import os

pid = json.loads(os.environ["BAIT"])["pid"]
questions = {
    "getpgid": lambda: os.getpgid(pid),
    "getsid": lambda: os.getsid(pid),
    "getpriority": lambda: os.getpriority(os.PRIO_PROCESS, pid),
    "getpriority of the group": lambda: os.getpriority(os.PRIO_PGRP, pid),
    "sched_getaffinity": lambda: os.sched_getaffinity(pid),
    "sched_getscheduler": lambda: os.sched_getscheduler(pid),
    "sched_getparam": lambda: os.sched_getparam(pid),
    "sched_rr_get_interval": lambda: os.sched_rr_get_interval(pid),
}
if pid != os.getpid():
    for name, ask in questions.items():
        with contextlib.suppress(OSError):
            print("ESCAPED:", name, "answers", ask())
print("tried")
