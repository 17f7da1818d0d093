"""Announces frames of four gigabytes, and then of one byte more than a frame may have.

Stopped by: frames
Succeeds by: harm
Ends: crashed
"""

import os
import struct
import time

for length in (2**32 - 1, 2**31, 2**31 - 1, 65537):
    os.write(3, struct.pack("!B3sI", 1, bytes(3), length) + b"{" * 1000)
time.sleep(10)
print("tried")
