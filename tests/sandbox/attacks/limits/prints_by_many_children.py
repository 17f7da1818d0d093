"""Has fifty children print on both streams at once, none of which prints much.

Stopped by: capture
Succeeds by: outcome completed
Limits: output_bytes=64 KiB
Ends: output_exceeded
"""

import contextlib
import os

for number in range(50):
    with contextlib.suppress(OSError):
        if os.fork() == 0:
            for _ in range(4):
                os.write(1 + number % 2, b"x" * 2**16)
            os._exit(0)
with contextlib.suppress(ChildProcessError):
    while True:
        os.wait()
print("tried", flush=True)
