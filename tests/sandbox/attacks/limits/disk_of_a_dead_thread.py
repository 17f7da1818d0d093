"""Deletes files before they are written, and keeps them open by a thread that goes on when the first one has ended.

Stopped by: tmpfs
Ends: completed, crashed, disk_full, exited
"""

import contextlib
import ctypes
import os
import platform
import tempfile
import threading
import time

EXIT = 60 if platform.machine() == "x86_64" else 93
FILES, EACH = 5, 24 * 2**20  # 120 of 64 MiB


def work() -> None:
    time.sleep(0.2)
    held = []
    for _ in range(FILES):
        with contextlib.suppress(OSError):
            file, name = tempfile.mkstemp()
            held.append(file)
            os.unlink(name)
            while os.fstat(file).st_size < EACH:
                os.write(file, bytes(2**20))
    for _ in range(100):
        time.sleep(0.01)
    total = sum(os.fstat(file).st_blocks * 512 for file in held)
    if total > 64 * 2**20:
        os.write(1, b"ESCAPED: %d MiB in files without names\n" % (total // 2**20))
    os.write(1, b"tried\n")
    os._exit(0)


threading.Thread(target=work).start()
ctypes.CDLL(None).syscall(EXIT, 0)
