"""Draws from the C library's rand and random, by way of which compiled code chooses.

Stopped by: fork state
Succeeds by: repeating
"""

import ctypes

libc = ctypes.CDLL(None)
for name in ("rand", "random"):
    function = getattr(libc, name)
    print("VALUE", name, "".join(f"{function() & 0x7FFFFFFF:08x}" for _ in range(8)))
print("tried")
