"""Waits in the kernel, where no handler runs, for a child that was made as vfork makes it; the child goes on.

Stopped by: clock, pid namespace
Succeeds by: surviving
Ends: timed_out
Timeout: 2
"""

import ctypes
import os
import platform
import time


def beat() -> None:
    """Say for some time that this process lives."""
    until = time.monotonic() + 20
    with open(os.path.join(os.environ["INPUT_DIR"], "heartbeat"), "ab", 0) as file:
        while time.monotonic() < until:
            file.write(b".")
            time.sleep(0.02)
    os._exit(0)


CLONE, VFORK, SIGCHLD = (56 if platform.machine() == "x86_64" else 220), 0x4000, 17

# Without CLONE_VM: the child has a copy of the interpreter, and the parent waits all the same.
call = [ctypes.c_long(number) for number in (CLONE, VFORK | SIGCHLD, 0, 0, 0, 0)]
if ctypes.PyDLL(None).syscall(*call) == 0:
    beat()
time.sleep(30)
