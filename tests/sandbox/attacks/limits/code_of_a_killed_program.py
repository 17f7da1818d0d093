"""Ends itself with the code that a shell has for a program that was killed: no memory was short.

Stopped by: verdict
Succeeds by: outcome out_of_memory
Ends: exited
"""

import os

os._exit(137)
