"""Reads and writes other processes' memory by ptrace, process_vm_* and /proc/PID/mem, pid 1's and all others'.

Stopped by: pid namespace, seccomp, own uid, Landlock
"""

import ctypes
import json
import os

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
for pid in (*range(1, 300), json.loads(os.environ["BAIT"])["pid"]):
    if pid == os.getpid():
        continue
    if libc.ptrace(PTRACE_SEIZE, pid, 0, 0) == 0 or libc.ptrace(PTRACE_ATTACH, pid, 0, 0) == 0:
        print("ESCAPED: traced", pid)
    buffer = ctypes.create_string_buffer(64)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64)
    remote = (ctypes.c_size_t * 2)(0x400000, 64)
    if libc.process_vm_readv(pid, local, 1, remote, 1, 0) >= 0:
        print("ESCAPED: read memory of", pid)
    for name in ("mem", "environ", "maps", "auxv", "stack", "syscall", "io"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                # One that has just ended, and was this session's own, has none any more.
                if read := file.read(10):
                    print("ESCAPED: read", file.name, read)
        except OSError:
            pass
print("tried")
