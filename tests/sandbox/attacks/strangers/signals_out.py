"""Signals whatever has a number, here or outside: by kill, by thread, by pidfd, by group and by queue.

Stopped by: pid namespace, own uid, Landlock
"""

import contextlib
import json
import os
import signal

me = os.getpid()
victim = json.loads(os.environ["BAIT"])["pid"]
for pid in [*range(1, 3000), victim, 4194303]:
    if pid == me:
        continue
    try:
        os.kill(pid, 0)
        if pid != 1:  # that it exists is no secret
            print("ESCAPED: found process", pid)
    except OSError:
        pass
for pid in (1, victim, -victim, 2, 3, 100, 1000, -1000):
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
        if pid != me:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
with contextlib.suppress(OSError):
    fd = os.pidfd_open(1)
    for number in range(1, 65):
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(fd, number)
    os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG)
    print("ESCAPED: pid 1 is a child of ours")
print("tried")
