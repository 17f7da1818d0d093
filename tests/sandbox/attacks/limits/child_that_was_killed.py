"""Has a child killed for its memory, and then ends itself with the code of a killed program, which it was not.

Stopped by: verdict
Succeeds by: outcome out_of_memory
Ends: exited
"""

import contextlib
import os

if (child := os.fork()) == 0:
    held = []
    with contextlib.suppress(MemoryError):
        for _ in range(24):
            held.append(b"x" * 2**24)
    os._exit(137)
os.waitpid(child, 0)
os._exit(137)
