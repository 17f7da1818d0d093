"""Fills its disk, makes room again, and only then raises the error of a full disk.

Stopped by: verdict
Succeeds by: outcome disk_full
Ends: raised
"""

import contextlib
import os
import tempfile

fd, path = tempfile.mkstemp()
with contextlib.suppress(OSError):
    for _ in range(80):
        os.write(fd, bytes(2**20))
os.unlink(path)
os.close(fd)
raise OSError("No space left on device, it says")
