"""Ends with code 1 and the keeper's own words for a program that printed too much, on the stream for errors.

Stopped by: verdict
Succeeds by: outcome output_exceeded
Ends: exited
"""

import os

os.write(2, b"The run was stopped: it wrote many times its output limit of 1 MiB (peak 64 MiB).\n")
os._exit(1)
