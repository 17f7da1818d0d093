"""Asks the key management by each of its operations, with rings and keys that are not there.

Stopped by: seccomp
"""

# A leaked reference to a session ring gave root (CVE-2016-0728); a keyring belongs to a user, whatever the namespace.

import ctypes
import errno
import platform

ADD_KEY, REQUEST_KEY, KEYCTL = (248, 249, 250) if platform.machine() == "x86_64" else (217, 218, 219)
# Those that change the thread's own ring are in another program; here: ask, search, persist, compute, restrict, move.
OPERATIONS = {
    "capabilities": (31, ctypes.create_string_buffer(8), 8), "get persistent": (22, -1, -3),
    "describe": (6, -4, 0, 0), "security": (17, -4, 0, 0), "diffie-hellman": (23, 0, 0, 0),
    "restrict": (29, -3, 0, 0), "public key": (24, -1, 0, b"", ctypes.create_string_buffer(32)),
    "watch": (32, -3, -1, 0), "set timeout": (15, -3, 0), "move": (30, 1, -3, -3, 0),
    "instantiate": (12, 1, 0, 0, 0), "assume authority": (16, 0),
}  # fmt: skip

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(number, *arguments):
    """The call's result, or minus its errno."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *passed)
    return result if result >= 0 else -ctypes.get_errno()


def attempt(what, number, *arguments):
    """Says so where the kernel did it, or looked at the arguments: a shut door answers EPERM or ENOSYS."""
    result = call(number, *arguments)
    if result not in (-errno.EPERM, -errno.ENOSYS):
        print("ESCAPED:", what, result)
    return result


for name, (operation, *arguments) in OPERATIONS.items():
    attempt(f"keyctl {name}", KEYCTL, operation, *arguments)
for kind in (b"user", b"logon", b"keyring", b"big_key", b"asymmetric", b".request_key_auth"):
    attempt(f"a key of type {kind!r}", ADD_KEY, kind, b"belljar", b"x", 1, -1)
    attempt(f"a request for {kind!r}", REQUEST_KEY, kind, b"belljar", b"", -1)
print("tried")
