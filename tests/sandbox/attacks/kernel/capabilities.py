"""Takes capabilities back: capset, ambient ones, securebits, and a program with file capabilities.

Stopped by: capabilities, seccomp, no_new_privs
"""

import contextlib
import ctypes
import os
import struct
import tempfile

libc = ctypes.CDLL(None, use_errno=True)
header = struct.pack("=Ii", 0x20080522, 0)
full = struct.pack("=6I", *[0xFFFFFFFF] * 6)
for number in (126, 91):
    libc.syscall(ctypes.c_long(number), header, full)
for option, value in ((8, 1), (28, 0x3F), (47, 2), (4, 1), (36, 1), (24, 0)):
    for capability in range(41):
        libc.prctl(option, value, capability, 0, 0)
for identity in (0, 1, 65534):
    for call in (os.setuid, os.setgid, os.seteuid, os.setegid):
        try:
            call(identity)
            print("ESCAPED: became", identity)
        except OSError:
            pass
for place in (f"{tempfile.gettempdir()}/program", "program"):
    open(place, "w").close()
    try:
        os.setxattr(
            place, "security.capability", struct.pack("=5I", 0x02000001, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0)
        )
        print("ESCAPED: file capabilities on", place)
    except OSError:
        pass
with contextlib.suppress(PermissionError), open("/proc/self/status") as file:
    for line in file:
        if line.startswith("Cap") and int(line.split()[1], 16):
            print("ESCAPED:", line)
held = ctypes.create_string_buffer(24)
for number in (125, 90):  # capget on x86-64 and aarch64
    if libc.syscall(ctypes.c_long(number), header, held) == 0 and any(held.raw):
        print("ESCAPED: holds", held.raw.hex())
print("tried")
