"""Locks every other byte of files by a thread that goes on when the first one has ended.

Stopped by: clock
Ends: completed, crashed, raised, exited, timed_out
"""

import ctypes
import fcntl
import os
import platform
import threading
import time

EXIT = 60 if platform.machine() == "x86_64" else 93


def work() -> None:
    held, deadline = 0, time.monotonic() + 8
    for number in range(50):
        fd = os.open(f"locked-{number}", os.O_RDWR | os.O_CREAT)
        for place in range(3000, 0, -1):
            fcntl.lockf(fd, fcntl.LOCK_EX, 1, 2 * place)
            held += 1
        if time.monotonic() > deadline:
            break
    for _ in range(100):
        time.sleep(0.01)
    if held >= 80_000:
        os.write(1, b"ESCAPED: %d records\n" % held)
    os.write(1, b"tried\n")
    os._exit(0)


threading.Thread(target=work).start()
ctypes.CDLL(None).syscall(EXIT, 0)
