"""Has its main program ignore the end of its time as well, so that it has to be killed, and a child go on.

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


turn_deaf()
if os.fork() == 0:
    beat()
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    with contextlib.suppress(BaseException):
        time.sleep(0.1)
