"""Has its main program killed for its memory, and leaves a child that is too small for the kernel to choose.

Stopped by: pid namespace
Succeeds by: surviving
Ends: out_of_memory, exited
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
held = []
with contextlib.suppress(MemoryError):
    for _ in range(96):
        held.append(b"x" * 2**24)
os._exit(137)
