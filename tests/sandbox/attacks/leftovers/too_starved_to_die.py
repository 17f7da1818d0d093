"""Runs so many processes on so little of a processor that none of them gets the time to notice its own death.

Stopped by: clock, pid namespace
Succeeds by: surviving
Ends: timed_out
Timeout: 3
Limits: cpus=0.1
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


for _ in range(40):
    if os.fork() == 0:
        turn_deaf()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, 19)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            pass
        os._exit(0)
if os.fork() == 0:
    os.setsid()
    turn_deaf()
    beat()
time.sleep(30)
