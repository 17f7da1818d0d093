"""Prints eighty megabytes, and calls that a success.

Stopped by: capture
Succeeds by: outcome completed
Ends: output_exceeded
"""

import os

piece = b"x" * 2**16
for _ in range(1280):
    os.write(1, piece)
print("tried", flush=True)
