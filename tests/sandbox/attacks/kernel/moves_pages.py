"""Moves pages between nodes, its own and other processes', and asks where they lie.

Stopped by: seccomp
"""

# move_pages told the layout of programs of the same uid (CVE-2017-14140); moving makes a neighbour wait.

import ctypes
import errno
import mmap
import os
import platform
import signal
import struct

MIGRATE, MOVE = (256, 279) if platform.machine() == "x86_64" else (238, 239)

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


page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
page[0] = 1
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
child = os.fork()
if child == 0:
    signal.pause()
    os._exit(0)
status, node = ctypes.c_int(-1), ctypes.c_int(0)
for pid in (0, child, 1):
    attempt(
        "move_pages", MOVE, pid, 1, struct.pack("=Q", address), ctypes.byref(node), ctypes.byref(status), 0
    )
    attempt("where pages are", MOVE, pid, 1, struct.pack("=Q", address), 0, ctypes.byref(status), 0)
    mask = ctypes.create_string_buffer(b"\1", 8)
    attempt("migrate_pages", MIGRATE, pid, 64, mask, mask)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print("tried")
