"""Draws from the C library's other family of generators, drand48 and its kin, which have a state of their own.

Stopped by: fork state
Succeeds by: repeating
"""

import ctypes

libc = ctypes.CDLL(None)
libc.drand48.restype = ctypes.c_double
for name in ("lrand48", "mrand48"):
    function = getattr(libc, name)
    print("VALUE", name, "".join(f"{function() & 0xFFFFFFFF:08x}" for _ in range(8)))
print("VALUE drand48", "".join(libc.drand48().hex() for _ in range(4)))
print("tried")
