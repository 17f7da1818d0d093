"""Reads the names and command lines of processes that no listing shows, by asking for their numbers and threads.

Stopped by: pid namespace, private root
"""

import contextlib
import json
import os

bait = json.loads(os.environ["BAIT"])["pid"]
names = ("comm", "cmdline", "status", "stat", "statm", "wchan", "cgroup", "limits", "sched", "schedstat")
for pid in (bait, *range(3, 2000)):
    if pid == os.getpid():
        continue
    for place in (f"/proc/{pid}", f"/proc/self/task/{pid}", f"/proc/1/task/{pid}", f"/proc/self/../{pid}"):
        for name in names:
            with contextlib.suppress(OSError), open(f"{place}/{name}", "rb") as file:
                print("ESCAPED:", file.name, file.read(60))
                break
with contextlib.suppress(PermissionError):
    if listed := {int(name) for name in os.listdir("/proc") if name.isdigit()} - {1, os.getpid()}:
        print("ESCAPED: listed", sorted(listed))
for name in ("loadavg", "uptime", "stat", "sched_debug", "timer_list", "locks", "sys/kernel/ns_last_pid"):
    with contextlib.suppress(OSError), open(f"/proc/{name}") as file:
        print("ESCAPED:", name, file.read(60))
print("tried")
