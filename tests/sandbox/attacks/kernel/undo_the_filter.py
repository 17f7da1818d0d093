"""Lifts the lock: a filter of its own that allows or answers calls, no_new_privs off, dumpable on, through an exec.

Stopped by: no_new_privs, seccomp
"""

import contextlib
import ctypes
import os
import struct
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
SECCOMP = 317 if hasattr(libc, "arch_prctl") else 277
allow = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))
program = struct.pack("HxxxxxxP", 1, ctypes.addressof(allow))
for flags in (0, 1, 2, 4, 8, 16):
    if libc.syscall(ctypes.c_long(SECCOMP), ctypes.c_long(1), ctypes.c_long(flags), program) >= 0:
        print("ESCAPED: a filter of its own, flags", flags)
for option, value in ((22, 2), (22, 1), (38, 0), (4, 1), (59, 1), (35, 1), (0x59616D61, 1)):
    if libc.prctl(option, ctypes.c_ulong(value), program, 0, 0) >= 0:
        print("ESCAPED: prctl", option)
command = "grep -E '^(Seccomp|NoNewPrivs|CapEff):' /proc/self/status"
seen = subprocess.run(command, shell=True, capture_output=True, text=True).stdout.split()
# Where /proc is closed the answers of prctl have to do: PR_GET_SECCOMP and PR_GET_NO_NEW_PRIVS.
asked = (
    "import ctypes; libc = ctypes.CDLL(None); print(libc.prctl(21, 0, 0, 0, 0), libc.prctl(39, 0, 0, 0, 0))"
)
told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True).stdout.split()
if seen not in ([], ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]) or told != [
    "2",
    "1",
]:
    print("ESCAPED: after exec", seen, told)
with contextlib.suppress(OSError):
    print("ESCAPED: the kernel's settings", os.listdir("/proc/sys/kernel/seccomp"))
print("tried")
