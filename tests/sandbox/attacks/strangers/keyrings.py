"""Leaves and finds keys in the kernel's keyrings, which no namespace separates.

Stopped by: seccomp, user namespace
"""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
long = ctypes.c_long
ADD, REQUEST, KEYCTL = (248, 249, 250) if hasattr(libc, "arch_prctl") else (217, 218, 219)
for ring in (-1, -2, -3, -4, -5, -6):
    if libc.syscall(long(ADD), b"user", b"belljar", b"x", long(1), long(ring)) >= 0:
        print("ESCAPED: a key in ring", ring)
    if libc.syscall(long(KEYCTL), long(0), long(ring), long(1)) >= 0:
        print("ESCAPED: ring", ring)
if libc.syscall(long(REQUEST), b"user", b"belljar", None, long(-3)) >= 0:
    print("ESCAPED: found a key")
if libc.syscall(long(KEYCTL), long(1), b"belljar") >= 0:
    print("ESCAPED: joined a session ring")
for path in ("/proc/keys", "/proc/key-users"):
    try:
        with open(path) as file:
            print("ESCAPED:", file.read(50))
    except OSError:
        pass
print("tried")
