"""Starts a process on its own memory, neither a thread nor a copy, that reports its end to nobody.

Stopped by: clock, pid namespace
Succeeds by: surviving
Ends: timed_out
Timeout: 2
"""

import ctypes
import os
import time

CLONE_VM, CLONE_FS, CLONE_FILES = 0x100, 0x200, 0x400
BEATS = b"""
trap '' INT TERM HUP
for count in $(seq 400); do printf . >> "$INPUT_DIR/heartbeat"; sleep 0.05; done
"""

libc = ctypes.CDLL(None, use_errno=True)
size = 256 * 1024
stack = ctypes.create_string_buffer(size)
top = ctypes.c_void_p((ctypes.addressof(stack) + size) & ~0xF)
# A function of the C library that takes one argument, so that no line of Python runs on a stack that is not its own.
os.environ["ENV"] = ""
pid = libc.clone(libc.system, top, CLONE_VM | CLONE_FS | CLONE_FILES, ctypes.c_char_p(BEATS))
time.sleep(30)
