"""Ends at once, and leaves a child that holds its output and its channel: who waits for their end waits for the child.

Stopped by: pid namespace, verdict
Succeeds by: surviving
Ends: exited
Timeout: 10
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


if os.fork() == 0:
    os.setsid()
    turn_deaf()
    beat()
time.sleep(0.5)
os._exit(0)
