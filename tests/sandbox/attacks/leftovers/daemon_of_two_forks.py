"""Becomes a daemon by the book: two forks, a session of its own, no descriptor left, deaf to every signal.

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


if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        turn_deaf()
        os.chdir("/")
        os.closerange(0, 256)
        beat()
    os._exit(0)
os.wait()
time.sleep(30)
