"""Breaks the channel to Belljar, so that nothing more is heard from the session, and goes on behind it.

Stopped by: pid namespace, frames
Succeeds by: surviving
Ends: crashed
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
with contextlib.suppress(OSError):
    os.write(3, b"\xff" * 64)
turn_deaf()
time.sleep(20)
