"""Prints a hundred thousand bytes, one at a time: each wakes whoever reads, and none of them is much.

Stopped by: capture
Succeeds by: outcome completed
Limits: output_bytes=1 KiB
Ends: output_exceeded
"""

import os

for _ in range(100_000):
    os.write(2, b"\xff")
print("tried", flush=True)
