"""Kills itself with the signal that the kernel has for a program without memory.

Stopped by: verdict
Succeeds by: outcome out_of_memory
Ends: crashed
"""

import os
import signal
import time

os.kill(os.getpid(), signal.SIGKILL)
time.sleep(5)
