"""Makes the bait the owner of a pipe and of a socket that send SIGKILL when something arrives.

Stopped by: pid namespace, seccomp
Succeeds by: harm
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct

F_SETOWN, F_SETSIG, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP = 8, 10, 15, 0x8901, 0x8902
pid = json.loads(os.environ["BAIT"])["pid"]
reading, writing = os.pipe()
ours, theirs = socket.socketpair()
for fd in (reading, ours.fileno()):
    for own in (
        lambda fd: fcntl.fcntl(fd, F_SETOWN, pid),
        lambda fd: fcntl.fcntl(fd, F_SETOWN_EX, struct.pack("=ii", 1, pid)),
        lambda fd: fcntl.ioctl(fd, FIOSETOWN, struct.pack("=i", pid)),
        lambda fd: fcntl.ioctl(fd, SIOCSPGRP, struct.pack("=i", pid)),
    ):
        with contextlib.suppress(OSError):
            own(fd)
    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, F_SETSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
os.write(writing, b"x")
theirs.send(b"x")
print("tried")
