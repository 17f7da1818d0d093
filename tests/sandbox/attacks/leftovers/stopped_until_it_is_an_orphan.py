"""Lies stopped in a group that only the main program ties to its session: at its death the kernel itself says SIGCONT.

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


with contextlib.suppress(OSError):
    os.setsid()  # pid 1 of a box has another session, so that a group that falls to it is an orphan
if (child := os.fork()) == 0:
    os.setpgid(0, 0)
    turn_deaf()  # to SIGHUP, which comes along with it
    os.kill(os.getpid(), signal.SIGSTOP)
    beat()
os.waitpid(child, os.WUNTRACED)
turn_deaf()
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    with contextlib.suppress(BaseException):
        time.sleep(0.1)
