"""Sends itself the signal by which a caller would have stopped it.

Stopped by: verdict
Succeeds by: outcome interrupted
Ends: raised
"""

import os
import signal
import time

os.kill(os.getpid(), signal.SIGINT)
time.sleep(5)
