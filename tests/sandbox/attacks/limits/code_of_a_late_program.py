"""Ends at once with the code that timeout(1) has for a program that took too long.

Stopped by: verdict
Succeeds by: outcome timed_out
Ends: exited
"""

import sys

sys.exit(124)
