"""Sets on which nodes its memory is to lie, for itself and for what it maps.

Stopped by: seccomp
"""

# mbind and set_mempolicy read bit masks of a length that they are told, and gave away stack for it (CVE-2017-7616).

import ctypes
import errno
import mmap
import platform

MBIND, SET_MEMPOLICY = (237, 238) if platform.machine() == "x86_64" else (235, 237)
HOME_NODE = 450
DEFAULT, PREFERRED, BIND, INTERLEAVE, LOCAL = 0, 1, 2, 3, 4

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
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
mask = ctypes.create_string_buffer(b"\1", 128)
for mode in (DEFAULT, PREFERRED, BIND, INTERLEAVE, LOCAL):
    attempt(f"mbind {mode}", MBIND, address, 4096, mode, mask, 64, 0)
    attempt(f"set_mempolicy {mode}", SET_MEMPOLICY, mode, mask, 64)
attempt("set_mempolicy_home_node", HOME_NODE, address, 4096, 0, 0)
call(SET_MEMPOLICY, DEFAULT, 0, 0)
print("tried")
