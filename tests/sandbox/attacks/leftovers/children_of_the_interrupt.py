"""Answers the signal that ends its time with twenty new daemons, each two forks away, and only then obeys.

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


def multiply(*_: object) -> None:
    """Start twenty more, and end as one is asked to."""
    for _ in range(20):
        with contextlib.suppress(OSError):
            if os.fork() == 0:
                turn_deaf()
                if os.fork() == 0:
                    os.setsid()
                    beat()
                os._exit(0)
    raise KeyboardInterrupt


if os.fork() == 0:
    turn_deaf()
    beat()  # for where nobody asks
signal.signal(signal.SIGINT, multiply)
time.sleep(30)
