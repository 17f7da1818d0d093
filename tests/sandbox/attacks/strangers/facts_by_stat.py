"""Learns by stat, which reads no file, what others do: how many descriptors and threads they have, when files change.

Stopped by: private root, pid namespace
Not at: reduced - size, owner and times of what has a path can be learned, of processes as well
"""

import contextlib
import json
import os
from pathlib import Path

bait = json.loads(os.environ["BAIT"])
for pid in {bait["pid"], os.getppid()} - {0, 1, os.getpid()}:
    with contextlib.suppress(OSError):
        print("ESCAPED: of", pid, "the user is", os.stat(f"/proc/{pid}").st_uid)
    with contextlib.suppress(OSError):
        print("ESCAPED: of", pid, "there are descriptors", os.stat(f"/proc/{pid}/fd").st_size)
    with contextlib.suppress(OSError):
        print("ESCAPED: of", pid, "there are threads", os.stat(f"/proc/{pid}/task").st_nlink - 2)
    for number in range(64):
        with contextlib.suppress(OSError):
            mode = os.lstat(f"/proc/{pid}/fd/{number}").st_mode
            print("ESCAPED: of", pid, "descriptor", number, "is open with", oct(mode & 0o777))
for name in ("secret_file", "open_file", "open_directory", "socket"):
    with contextlib.suppress(OSError):
        seen = os.stat(bait[name])
        print("ESCAPED:", name, "has", seen.st_size, "bytes, and is of", seen.st_uid, "and", seen.st_mtime_ns)
    with contextlib.suppress(OSError):
        disk = os.statvfs(bait[name])
        print(
            "ESCAPED: beside", name, "there is room for", disk.f_bavail, "blocks and", disk.f_favail, "files"
        )
# Where there are no boxes the directories of all sessions lie side by side.
for place in Path.cwd().parents:
    if place.name.startswith("session-"):
        seen = place.parent.stat()
        print(
            "ESCAPED: sessions there are",
            seen.st_nlink - 3,
            "and the last one came or went at",
            seen.st_mtime_ns,
        )
# When somebody last typed, logged in, or had mail.
for path in ("/dev/pts/0", "/dev/pts/1", "/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/mail"):
    with contextlib.suppress(OSError):
        seen = os.stat(path)
        print("ESCAPED:", path, "was used at", seen.st_atime_ns, "and changed at", seen.st_mtime_ns)
print("tried")
