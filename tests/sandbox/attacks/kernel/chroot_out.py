"""The oldest way out: chroot below an open directory, then up from there; and pivot_root.

Stopped by: seccomp, capabilities, private root
"""

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/", os.O_RDONLY)
os.makedirs("/tmp/inner", exist_ok=True)
try:
    os.chroot("/tmp/inner")
    print("ESCAPED: chroot is allowed")
except OSError:
    pass
os.fchdir(fd)
for _ in range(50):
    os.chdir("..")
if os.path.exists("etc/shadow") or os.path.exists("home"):
    print("ESCAPED: up and out")
for number in (155, 41):
    if libc.syscall(number, b"/tmp/inner", b"/tmp/inner") == 0 and number == 155:
        print("ESCAPED: pivot_root")
print("tried")
