"""One session has itself told, by the old directory notes, which shared libraries the other one reads.

Stopped by: seccomp
Sessions: 2
"""

import contextlib
import fcntl
import json
import os
import signal
import time

bait = json.loads(os.environ["BAIT"])
shared = [os.__file__, bait["secret_file"]]
DN_ACCESS, DN_MULTISHOT = 1, 0x80000000
deadline = time.monotonic() + 5
if os.environ["ROLE"] == "one":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
    watched = []
    for path in shared:
        with contextlib.suppress(OSError):
            fd = os.open(os.path.dirname(path), os.O_RDONLY)
            fcntl.fcntl(fd, fcntl.F_NOTIFY, DN_ACCESS | DN_MULTISHOT)
            watched.append(fd)
    while watched and time.monotonic() < deadline:
        told = signal.sigtimedwait({signal.SIGIO}, 0.2)
        if told is not None:
            print("ESCAPED: another session reads", shared)
            break
else:
    while time.monotonic() < deadline - 1:
        for path in shared:
            with contextlib.suppress(OSError), open(path, "rb") as file:
                file.read(1)
        time.sleep(0.1)
print("tried")
