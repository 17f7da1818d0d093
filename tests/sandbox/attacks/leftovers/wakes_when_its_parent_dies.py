"""Sleeps, with nothing to show, until the end of a pipe tells that the main program is dead; then it begins.

Stopped by: clock, pid namespace
Succeeds by: surviving
Ends: timed_out
Timeout: 2
"""

import contextlib
import os
import signal
import time


def beat() -> None:
    """Say for some time that this process lives."""
    until = time.monotonic() + 20
    with open(os.path.join(os.environ["INPUT_DIR"], "heartbeat"), "ab", 0) as file:
        while time.monotonic() < until:
            file.write(b".")
            time.sleep(0.02)
    os._exit(0)


def turn_deaf() -> None:
    """Ignore every signal that can be ignored."""
    for number in range(1, 65):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)


reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    turn_deaf()
    os.close(writing)
    os.read(reading, 1)  # the main program holds the only other end
    beat()
os.close(reading)
turn_deaf()
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    with contextlib.suppress(BaseException):
        time.sleep(0.1)
