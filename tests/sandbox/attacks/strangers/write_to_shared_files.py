"""Changes libraries that all sessions read: by opening, by mapping, by linking, by truncating, by the page cache.

Stopped by: private root, own uid, Landlock, seccomp
"""

import contextlib
import ctypes
import glob
import mmap
import os
import sys
import tempfile

targets = [
    os.path.realpath(sys.executable),
    "/usr/bin/env",
    "/etc/passwd",
    "/opt/belljar/inside.zip",
    os.__file__,
]
targets += (
    glob.glob("/usr/lib/*/libc.so.6")
    + glob.glob("/opt/belljar/runtime/lib/python*/site-packages/*/__init__.py")[:5]
)
libc = ctypes.CDLL(None, use_errno=True)
linked = f"{tempfile.gettempdir()}/linked"
OPENS = (
    lambda path: os.open(path, os.O_RDWR),
    lambda path: os.link(path, linked) or os.open(linked, os.O_RDWR),
    lambda path: os.setxattr(path, "user.x", b"x"),
)


def facts(path):
    """What would be different of a file that was changed; nothing of one that is gone."""
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(path)
        return (
            status.st_ino,
            status.st_mode,
            status.st_uid,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )


for target in targets:
    for attempt in (
        *OPENS,
        lambda path: os.truncate(path, 10),
        lambda path: os.chmod(path, 0o777),
        lambda path: os.chown(path, 1000, 1000),
        lambda path: os.utime(path, (0, 0)),
        lambda path: os.rename(path, path + ".old"),
        lambda path: os.unlink(path),
    ):
        with contextlib.suppress(OSError):
            before = facts(target)
            attempt(target)
            # By what has become of it: a call may say that it succeeded and have done nothing.
            if facts(target) != before or attempt in OPENS:
                print("ESCAPED: changed", target)
    with contextlib.suppress(OSError), open(target, "rb") as file:
        try:
            mmap.mmap(file.fileno(), 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
            print("ESCAPED: mapped for writing", target)
        except (OSError, ValueError):
            pass
        # splice, then vmsplice into the pipe: the way of "Dirty Pipe"
        reading, writing = os.pipe()
        with contextlib.suppress(OSError):
            os.splice(file.fileno(), writing, 1, offset_src=0)
        if libc.vmsplice(writing, 0, 1, 0) >= 0:
            print("ESCAPED: vmsplice")
        os.close(reading)
        os.close(writing)
print("tried")
