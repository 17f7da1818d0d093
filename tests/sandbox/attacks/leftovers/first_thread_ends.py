"""Ends its first thread and goes on in another: whoever asks for its state is told that it is dead.

Stopped by: clock, stop between runs
Succeeds by: surviving
Ends: timed_out
Timeout: 2
"""

import ctypes
import os
import platform
import signal
import threading
import time

EXIT = 60 if platform.machine() == "x86_64" else 93
libc = ctypes.CDLL(None)
path = os.path.join(os.environ["INPUT_DIR"], "heartbeat")


def beat():
    with open(path, "ab", 0) as file:
        for _ in range(1500):
            file.write(b".")
            time.sleep(0.02)
    os._exit(0)


if os.fork() == 0:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=beat).start()
    time.sleep(0.2)
    libc.syscall(ctypes.c_long(EXIT), ctypes.c_long(0))  # of this thread; exit_group is another call
time.sleep(30)
