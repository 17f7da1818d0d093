"""Finds memory that a fork does not copy: mappings that all children of the server write to together.

Stopped by: clean zygote
"""

import contextlib
import ctypes

with contextlib.suppress(PermissionError), open("/proc/self/maps") as file:
    for line in file:
        edges, rights, _, device, inode, *name = line.split()
        if "w" not in rights or "s" not in rights:
            continue
        start = int(edges.split("-")[0], 16)
        print("ESCAPED: shared", line.strip())
        if "r" in rights:
            print("it begins with", ctypes.string_at(start, 64))
print("tried")
