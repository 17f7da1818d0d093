"""Opens shared files for reading, and those descriptors a second time for writing, by the links in /proc.

Stopped by: private root, Landlock
"""

import contextlib
import glob
import json
import os
import sys

bait = json.loads(os.environ["BAIT"])
targets = [
    bait["open_file"],
    os.__file__,
    os.path.realpath(sys.executable),
    "/etc/passwd",
    "/opt/belljar/inside.zip",
]
targets += glob.glob("/usr/lib/*-linux-gnu/libc.so.6") + glob.glob("/lib/*-linux-gnu/libc.so.6")
WAYS = (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND)
for target in targets:
    for first in (os.O_RDONLY, os.O_PATH):
        with contextlib.suppress(OSError):
            fd = os.open(target, first)
            for link in (f"/proc/self/fd/{fd}", f"/dev/fd/{fd}", f"/proc/thread-self/fd/{fd}"):
                for way in WAYS:
                    with contextlib.suppress(OSError):
                        os.close(os.open(link, way))
                        print("ESCAPED: may write", target)
            os.close(fd)
    with contextlib.suppress(OSError):
        directory = os.open(os.path.dirname(target), os.O_PATH)
        for way in WAYS:
            with contextlib.suppress(OSError):
                os.close(os.open(os.path.basename(target), way, dir_fd=directory))
                print("ESCAPED: may write", target, "by its directory")
        os.close(directory)
# The files that are mapped, by the addresses where they are.
for link in glob.glob("/proc/self/map_files/*"):
    with contextlib.suppress(OSError):
        os.close(os.open(link, os.O_WRONLY))
        print("ESCAPED: may write", os.readlink(link))
print("tried")
