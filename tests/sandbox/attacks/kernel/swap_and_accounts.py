"""Adds and takes swap, and has the kernel write an account of every process into a file of its own.

Stopped by: seccomp
Weak box: root
"""

# acct gives a file of the guest's all commands that run; swap on a guest's file is memory of others in its hands.

import ctypes
import errno
import os
import platform

IS_X86 = platform.machine() == "x86_64"
SWAPON, SWAPOFF, ACCT = (167, 168, 163) if IS_X86 else (224, 225, 89)

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


with open("swap", "wb") as file:
    file.write(bytes(4096 * 10))
# No signature, no such file, a directory: nothing changes even for root.
attempt("swapon", SWAPON, b"swap", 0)
attempt("swapon by force", SWAPON, b"nowhere", 0x8000)
attempt("swapoff", SWAPOFF, b"swap")
attempt("acct", ACCT, b"nowhere")
attempt("acct of a directory", ACCT, b".")
os.unlink("swap")
print("tried")
