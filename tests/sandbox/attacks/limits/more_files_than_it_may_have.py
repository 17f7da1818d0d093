"""Makes empty directories inside each other and symbolic links, a hundred thousand of them, with not a byte in any.

Stopped by: tmpfs
Ends: completed, disk_full
"""

import contextlib
import os
import tempfile
import time

NUMBER, DEPTH = 100_000, 1000
place = tempfile.mkdtemp()
top = os.open(place, os.O_RDONLY)
made = 0
at = os.dup(top)
with contextlib.suppress(OSError):
    while made < NUMBER:
        # Deeper than any path can say: by descriptors.
        if made % DEPTH == 0:
            os.mkdir(f"{made}", dir_fd=top)
            below = os.open(f"{made}", os.O_RDONLY, dir_fd=top)
        else:
            os.mkdir("d", dir_fd=at)
            below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
        os.symlink("x" * 120, "link", dir_fd=at)
        made += 2
for _ in range(100):
    time.sleep(0.01)
print(made, "directories and links")
if made >= 65_536:
    print("ESCAPED:", made, "directories and links")
print("tried")
