"""Reads and writes the memory of its own child by the two calls made for that.

Stopped by: seccomp
"""

# What may reach a child may reach whatever has the same uid: at the level `limited` that is everything of ours.

import ctypes
import errno
import os
import platform
import signal
import struct

READV, WRITEV = (310, 311) if platform.machine() == "x86_64" else (270, 271)

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


word = ctypes.create_string_buffer(b"before", 8)
mine = ctypes.create_string_buffer(b"after", 8)
child = os.fork()
if child == 0:
    signal.pause()
    os._exit(0)
local = struct.pack("=QQ", ctypes.addressof(mine), 8)
remote = struct.pack("=QQ", ctypes.addressof(word), 8)
attempt("process_vm_writev", WRITEV, child, local, 1, remote, 1, 0)
if call(READV, child, local, 1, remote, 1, 0) == 8 and mine.value == b"after":
    print("ESCAPED: the child's memory says", mine.value)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print("tried")
