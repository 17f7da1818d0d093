"""Has as last line on stderr what an interrupted program leaves there, in terminal codes and all.

Stopped by: verdict
Succeeds by: outcome interrupted
Ends: exited
"""

import sys

sys.stderr.write("Traceback (most recent call last):\n\x1b[2K\x1b[1A\rKeyboardInterrupt\n")
sys.exit(1)
