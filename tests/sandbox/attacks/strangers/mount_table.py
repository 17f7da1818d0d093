"""Reads from the table of mounts where on the machine its files lie, and on which disk.

Stopped by: private root
"""

import contextlib
import glob

found = []
for path in glob.glob("/proc/*/mountinfo"):
    with contextlib.suppress(OSError), open(path) as file:
        for line in file:
            words = line.split()
            below, place, source = words[3], words[4], words[words.index("-") + 2]
            # A tree that lies elsewhere on the machine than here; that /dev/null is a file of /dev is no secret.
            if below not in ("/", place) and place != f"/dev{below}":
                found.append(f"{place} is {below}")
            found.append(source)
for path in ("/proc/self/mounts", "/proc/self/mountstats", "/etc/mtab", "/proc/mounts"):
    with contextlib.suppress(OSError), open(path) as file:
        found += [line.split()[1 if path.endswith("mountstats") else 0] for line in file]
for fact in sorted(set(found)):
    # Names of what the kernel makes itself, as proc and tmpfs, say nothing of the machine.
    if "/" in fact and fact != "/dev/root":
        print("ESCAPED:", fact)
print("tried")
