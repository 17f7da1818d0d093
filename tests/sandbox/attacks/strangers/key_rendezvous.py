"""One session leaves a key in the rings of its user, and the other asks the kernel for it by name.

Stopped by: seccomp, user namespace, own uid
Sessions: 2
"""

import ctypes
import os
import time

libc = ctypes.CDLL(None, use_errno=True)
ADD, REQUEST, KEYCTL = (248, 249, 250) if os.uname().machine == "x86_64" else (217, 218, 219)
GET_PERSISTENT, READ, INVALIDATE, SEARCH, LINK = 22, 11, 21, 10, 8
PROCESS_RING, USER_RING, USER_SESSION_RING = -2, -4, -5
long = ctypes.c_long
name = b"belljar-rendezvous"


def control(*arguments):
    return libc.syscall(long(KEYCTL), *(long(a) if isinstance(a, int) else a for a in arguments))


rings = [USER_RING, USER_SESSION_RING]
control(LINK, USER_RING, PROCESS_RING)  # what is in our own rings we may read
persistent = control(GET_PERSISTENT, -1, PROCESS_RING)
rings += [persistent] if persistent > 0 else []
deadline = time.monotonic() + 5
if os.environ["ROLE"] == "one":
    keys = [libc.syscall(long(ADD), b"user", name, b"left", long(4), long(ring)) for ring in rings]
    keys = [key for key in keys if key > 0]
    buffer = ctypes.create_string_buffer(16)
    while keys and time.monotonic() < deadline:
        # Who finds a key invalidates it, so that we know.
        if any(control(READ, key, buffer, 16) < 0 for key in keys):
            break
        time.sleep(0.05)
    for key in keys:
        control(INVALIDATE, key)
else:
    while time.monotonic() < deadline:
        found = [control(SEARCH, ring, b"user", name, 0) for ring in rings]
        found.append(libc.syscall(long(REQUEST), b"user", name, None, long(0)))
        keys = [key for key in found if key > 0]
        if keys:
            print("ESCAPED: a key of another session", keys)
            control(INVALIDATE, keys[0])
            break
        if ctypes.get_errno() in (1, 38):  # EPERM, ENOSYS: there are no keys here
            break
        time.sleep(0.05)
print("tried")
