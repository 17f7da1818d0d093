"""Gives one empty file a hundred thousand long names: no block and no new file, but each name is memory of the kernel.

Stopped by: tmpfs
Ends: completed, disk_full
Not at: reduced - without a file system of its own a session's files are counted, and not their names
"""

import contextlib
import os
import shutil
import tempfile
import time

NUMBER = 100_000  # a disk of 64 MiB has room for 16,384 files
place = tempfile.mkdtemp()
with contextlib.suppress(OSError):
    place = tempfile.mkdtemp(dir="/dev/shm")  # other file systems allow one file few names
made = 0
with contextlib.suppress(OSError):
    first = f"{place}/first"
    os.close(os.open(first, os.O_CREAT | os.O_WRONLY))
    for made in range(1, NUMBER):
        os.link(first, f"{place}/{made:x<200}")
for _ in range(100):
    time.sleep(0.01)
names = len(os.listdir(place))
print(made, "links,", names, "names")
if names > 65_536:
    print("ESCAPED:", names, "names of one file")
shutil.rmtree(place, ignore_errors=True)
print("tried")
