"""Makes its files and its processes as unpleasant to handle as it can: depth, modes, stopped and traced children.

Stopped by: pid namespace, clock, collector
Succeeds by: harm
Ends: timed_out
Timeout: 3
"""

import contextlib
import os
import signal

for number in range(1, 65):
    with contextlib.suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_IGN)
at = os.getcwd()
for _ in range(120):
    at += "/" + "d" * 30
    with contextlib.suppress(OSError):
        os.mkdir(at)
os.chmod(os.getcwd(), 0)
for _ in range(20):
    if os.fork() == 0:
        os.setsid()
        os.kill(os.getpid(), signal.SIGSTOP)
        while True:
            signal.pause()
print("tried", flush=True)
while True:
    with contextlib.suppress(BaseException):
        while True:
            pass
