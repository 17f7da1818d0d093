"""Sets the bits by which uid 0 keeps or regains its capabilities, and raises the ambient ones.

Stopped by: seccomp
"""

# Ambient capabilities go through exec, and with SECBIT_KEEP_CAPS through a change of uid: nothing is dropped for good.

import ctypes
import errno
import platform
import struct

IS_X86 = platform.machine() == "x86_64"
PRCTL, CAPSET = (157, 126) if IS_X86 else (167, 91)
KEEPCAPS, GET_SECUREBITS, SET_SECUREBITS, CAP_AMBIENT, CAPBSET_DROP = 8, 27, 28, 47, 24
RAISE = 2

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


attempt("keep capabilities", PRCTL, KEEPCAPS, 1, 0, 0, 0)
attempt("securebits", PRCTL, SET_SECUREBITS, 0x2F & ~1, 0, 0, 0)
attempt("the bounding set", PRCTL, CAPBSET_DROP, 40, 0, 0, 0)
header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
attempt("capset", CAPSET, header, struct.pack("=6I", 0, 0, 0, 0, 0, 0))
for capability in (0, 21, 40):
    attempt("ambient", PRCTL, CAP_AMBIENT, RAISE, capability, 0, 0)
print("tried")
