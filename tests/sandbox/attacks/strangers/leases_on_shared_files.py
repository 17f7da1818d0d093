"""Takes leases on files that all share: whoever opens one then waits until the holder lets go.

Stopped by: private root, seccomp
"""

import contextlib
import fcntl
import json
import os
import signal
import sys

signal.signal(signal.SIGIO, signal.SIG_IGN)  # how the kernel says that somebody is waiting
bait = json.loads(os.environ["BAIT"])
for path in (
    bait["open_file"],
    bait["secret_file"],
    os.__file__,
    os.path.realpath(sys.executable),
    "/etc/passwd",
):
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY)
        for kind in (fcntl.F_RDLCK, fcntl.F_WRLCK):
            with contextlib.suppress(OSError):
                fcntl.fcntl(fd, fcntl.F_SETLEASE, kind)
                print("ESCAPED: a lease on", path)
                fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        os.close(fd)
print("tried")
