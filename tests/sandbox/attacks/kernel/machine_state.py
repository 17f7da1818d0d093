"""Changes what belongs to the whole machine, its name, clock, swap and log, with arguments that would fail safely.

Stopped by: seccomp, capabilities, user namespace
"""

import ctypes
import os
import time

libc = ctypes.CDLL(None, use_errno=True)
if libc.sethostname(b"owned", 5) == 0 or libc.setdomainname(b"owned", 5) == 0:
    print("ESCAPED: named the machine")
try:
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    print("ESCAPED: set the clock")
except OSError:
    pass
buffer = ctypes.create_string_buffer(4096)
for action in (2, 3, 9, 10):
    if action != 2 and libc.klogctl(action, buffer, 4096) >= 0:
        print("ESCAPED: read the kernel's log")
for name, arguments in {
    "swapon": (b"/tmp/x", 0),
    "acct": (None,),
    "swapoff": (b"/tmp/x",),
    "vhangup": (),
}.items():
    if getattr(libc, name)(*arguments) == 0:
        print("ESCAPED:", name)
# A wrong magic number: the kernel says EINVAL only to who might.
if (
    libc.syscall(ctypes.c_long(169 if os.uname().machine == "x86_64" else 142), 0, 0, 0, 0) == 0
    or ctypes.get_errno() == 22
):
    print("ESCAPED: reboot")
print("tried")
