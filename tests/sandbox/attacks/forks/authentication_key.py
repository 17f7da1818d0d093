"""Reads the key by which the parts of a parallel program know each other: whoever has the same may join them.

Stopped by: fork state
Succeeds by: repeating
"""

import multiprocessing

print("VALUE key", bytes(multiprocessing.current_process().authkey).hex())
print("tried")
