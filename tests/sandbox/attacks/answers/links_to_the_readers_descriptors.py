"""Leaves links to descriptors by number, which the reader has as well: its pipes are read for ever.

Stopped by: collector, stop between runs
Succeeds by: harm
"""

import os
import time

work = os.environ["INPUT_DIR"]
for number in range(64):
    os.symlink(f"/proc/self/fd/{number}", f"{work}/{number:02}.txt")
    os.symlink(f"/dev/fd/{number}", f"{work}/{number:02}.csv")
# The far end of its output stays open, so that nobody who reads there comes to an end.
if os.fork() == 0:
    time.sleep(30)
    os._exit(0)
print("tried")
