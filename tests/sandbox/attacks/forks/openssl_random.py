"""Draws from OpenSSL, which notices a fork by a new process number; and in every box the number is the same.

Stopped by: fork state
Succeeds by: repeating
"""

import _ssl
import ctypes
import ssl

print("VALUE public", ssl.RAND_bytes(16).hex())
# The second generator, for keys: of the library that the module has loaded, wherever it lies.
library = ctypes.CDLL(getattr(_ssl, "__file__", None))
for name in ("RAND_priv_bytes", "RAND_bytes"):
    draw = getattr(library, name, None)
    buffer = ctypes.create_string_buffer(16)
    if draw is not None and draw(buffer, 16) == 1:
        print("VALUE", name, buffer.raw.hex())
print("tried")
