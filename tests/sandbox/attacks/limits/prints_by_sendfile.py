"""Moves the pages of one file into its output, over and over: the kernel writes, and the program does not.

Stopped by: capture
Succeeds by: outcome completed
Ends: output_exceeded
"""

import os
import tempfile

SIZE = 2**20
with tempfile.TemporaryFile() as file:
    file.write(b"x" * SIZE)
    file.flush()
    for _ in range(80):
        moved = 0
        while moved < SIZE:
            moved += os.sendfile(1, file.fileno(), moved, SIZE - moved)
print("tried", flush=True)
