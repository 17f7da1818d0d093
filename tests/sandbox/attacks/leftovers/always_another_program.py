"""Replaces itself by itself all the time: whoever looks finds a process in the middle of becoming another one.

Stopped by: clock, pid namespace
Succeeds by: surviving
Ends: timed_out
Timeout: 2
"""

import os
import sys
import time

AGAIN = """
import os, sys, time
until, path = float(sys.argv[2]), os.path.join(os.environ["INPUT_DIR"], "heartbeat")
with open(path, "ab", 0) as file:
    file.write(b".")
if time.monotonic() < until:
    os.execv(sys.executable, [sys.executable, "-S", "-c", sys.argv[1], *sys.argv[1:]])
"""

for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        until = str(time.monotonic() + 20)
        os.execv(sys.executable, [sys.executable, "-S", "-c", AGAIN, AGAIN, until])
time.sleep(30)
