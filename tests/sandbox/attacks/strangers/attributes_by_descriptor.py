"""Sets mode, owner, times, flags and attributes of shared files by a descriptor, to what they are.

Stopped by: private root, own uid, seccomp
"""

import contextlib
import fcntl
import json
import os
import sys

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, F_SET_RW_HINT = 0x80086601, 0x40086602, 1036
bait = json.loads(os.environ["BAIT"])


def same_flags(fd, _):
    flags = bytearray(8)
    fcntl.ioctl(fd, FS_IOC_GETFLAGS, flags)
    fcntl.ioctl(fd, FS_IOC_SETFLAGS, flags)


ATTEMPTS = {
    "mode": lambda fd, status: os.fchmod(fd, status.st_mode & 0o7777),
    "owner": lambda fd, status: os.fchown(fd, status.st_uid, status.st_gid),
    "times": lambda fd, status: os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns)),
    "flags": same_flags,
    "attribute": lambda fd, _: (os.setxattr(fd, "user.belljar", b""), os.removexattr(fd, "user.belljar")),
    "hint": lambda fd, _: fcntl.fcntl(fd, F_SET_RW_HINT, bytes(8)),
}
for path in (
    bait["open_file"],
    os.__file__,
    os.path.realpath(sys.executable),
    "/usr/bin/env",
    "/etc/passwd",
    "/usr/lib",
):
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY)
        for what, attempt in ATTEMPTS.items():
            with contextlib.suppress(OSError):
                # A change to what it was leaves its mark all the same; one that only says so leaves none.
                before = os.fstat(fd)
                attempt(fd, before)
                if what in ("flags", "attribute", "hint") or os.fstat(fd).st_ctime_ns != before.st_ctime_ns:
                    print("ESCAPED: set the", what, "of", path)
        os.close(fd)
print("tried")
