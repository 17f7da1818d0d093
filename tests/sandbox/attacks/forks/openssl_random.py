"""Draws from OpenSSL, which notices a fork by a new process number; and in every box the number is the same.

Stopped by: fork state
Succeeds by: repeating
"""

import contextlib
import ctypes
import ssl

print("VALUE public", ssl.RAND_bytes(16).hex())
# The second generator, for keys: the library is the one that the module has loaded.
libraries = set()
with contextlib.suppress(PermissionError), open("/proc/self/maps") as file:
    libraries = {line.split()[-1] for line in file if "libcrypto" in line}
for path in sorted(libraries):
    private = getattr(ctypes.CDLL(path), "RAND_priv_bytes", None)
    buffer = ctypes.create_string_buffer(16)
    if private is not None and private(buffer, 16) == 1:
        print("VALUE private", buffer.raw.hex())
print("tried")
