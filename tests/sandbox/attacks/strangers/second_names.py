"""Gives shared files a second name in a directory of its own, where it may do with them as it likes.

Stopped by: mount namespace, private root, Landlock
"""

import contextlib
import ctypes
import json
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, AT_EMPTY_PATH, AT_SYMLINK_FOLLOW, RENAME_EXCHANGE = -100, 0x1000, 0x400, 2
bait = json.loads(os.environ["BAIT"])
own = [os.environ["INPUT_DIR"], "/tmp", "/dev/shm", os.path.dirname(bait["open_file"])]
for target in (
    bait["open_file"],
    os.__file__,
    os.path.realpath(sys.executable),
    "/etc/passwd",
    "/usr/bin/env",
):
    with contextlib.suppress(OSError):
        fd = os.open(target, os.O_PATH)
        for number, place in enumerate(own):
            name = f"{place}/belljar-second-{number}".encode()
            link = f"/proc/self/fd/{fd}".encode()
            for arguments in (
                (fd, b"", AT_FDCWD, name, AT_EMPTY_PATH),
                (AT_FDCWD, link, AT_FDCWD, name, AT_SYMLINK_FOLLOW),
                (AT_FDCWD, target.encode(), AT_FDCWD, name, 0),
            ):
                if libc.linkat(*arguments) == 0:
                    print("ESCAPED:", target, "has a second name,", name)
                    os.unlink(name)
        os.close(fd)
    # An exchange of a file with itself changes nothing, and is refused only to who may not.
    if libc.renameat2(AT_FDCWD, target.encode(), AT_FDCWD, target.encode(), RENAME_EXCHANGE) == 0:
        print("ESCAPED: may exchange", target)
print("tried")
