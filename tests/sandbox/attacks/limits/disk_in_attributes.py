"""Writes what it has to say into extended attributes of files, which are in no block that a quota counts.

Stopped by: seccomp
"""

import contextlib
import os
import tempfile

VALUE = 64 * 2**10 - 512
NUMBER = 1200
held = {}
for place in ("/dev/shm", tempfile.gettempdir()):
    with contextlib.suppress(OSError):
        while len(held) < NUMBER:
            fd, path = tempfile.mkstemp(dir=place)
            held[path] = fd
            os.setxattr(fd, "user.held", os.urandom(16) * (VALUE // 16))
total = 0
for path, fd in held.items():
    with contextlib.suppress(OSError):
        total += len(os.getxattr(fd, "user.held"))
    os.unlink(path)
    os.close(fd)
if total > 64 * 2**20:
    print("ESCAPED:", total // 2**20, "MiB in attributes")
print("tried")
