"""Starts a child whose end is no signal, so that no ordinary wait finds it, and a brother in place of a child.

Stopped by: clock, pid namespace
Succeeds by: surviving
Ends: timed_out
Timeout: 2
"""

import ctypes
import os
import platform
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


CLONE, CLONE_PARENT, SIGCHLD = (56 if platform.machine() == "x86_64" else 220), 0x8000, 17

for flags in (0, CLONE_PARENT | SIGCHLD):
    call = [ctypes.c_long(number) for number in (CLONE, flags, 0, 0, 0, 0)]
    if ctypes.PyDLL(None).syscall(*call) == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        beat()
time.sleep(30)
