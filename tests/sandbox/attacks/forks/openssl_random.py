"""Draws from OpenSSL, which notices a fork by a new process number; and in every box the number is the same.

Stopped by: fork state
Succeeds by: repeating
"""

import _ssl
import ctypes
import ssl

print("VALUE public", ssl.RAND_bytes(16).hex())
# The second generator, for keys: by the module, which has the library with it, whatever its name.
private = getattr(ctypes.CDLL(getattr(_ssl, "__file__", None)), "RAND_priv_bytes", None)
buffer = ctypes.create_string_buffer(16)
if private is not None and private(buffer, 16) == 1:
    print("VALUE private", buffer.raw.hex())
print("tried")
