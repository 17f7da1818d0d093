"""Finds the files of its control group, leaves the group, or makes one of its own.

Stopped by: private root, cgroup namespace
"""

import contextlib
import glob
import os

for top in ("/sys/fs/cgroup", "/cgroup", "/proc/self/cgroup", "/dev/cgroup", "/mnt/cgroup"):
    with contextlib.suppress(OSError):
        print("ESCAPED: control groups at", top, os.listdir(top)[:5])
    for name in ("cgroup.procs", "memory/cgroup.procs", "unified/cgroup.procs"):
        with contextlib.suppress(OSError), open(f"{top}/{name}") as file:
            print("ESCAPED: read", file.name)
        with contextlib.suppress(OSError), open(f"{top}/{name}", "a") as file:
            print("ESCAPED: opened for writing", file.name)
with contextlib.suppress(PermissionError), open("/proc/self/cgroup") as file:
    for line in file:
        if ".." in line or "docker" in line or "system" in line.split(":", 2)[2]:
            print("ESCAPED: learned where the machine has us", line)
for path in glob.glob("/proc/[0-9]*/cgroup"):
    try:
        with open(path, "w") as file:
            file.write("0")
            print("ESCAPED: wrote", path)
    except OSError:
        pass
print("tried")
