"""Says on the control socket what is no message at all, and takes care that it is read.

Stopped by: frames
Succeeds by: harm
Ends: crashed
"""

import os
import time

for _ in range(64):
    os.write(3, b"\xff" + os.urandom(1023))
time.sleep(10)
print("tried")
