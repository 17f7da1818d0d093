"""Lists the mounts and reads about each, where /proc has been cut short so that it tells nothing of them.

Stopped by: seccomp
"""

# A mount's source tells the machine's paths and devices; both calls need no /proc and no rights in one's own namespace.

import ctypes
import errno
import struct

STATMOUNT, LISTMOUNT = 457, 458
ROOT = 0xFFFFFFFFFFFFFFFF
BASIC, PROPAGATE, MNT_ROOT, POINT, SOURCE = 1 | 2, 4, 8, 16, 0x200

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


identifiers = (ctypes.c_uint64 * 64)()
count = attempt("listmount", LISTMOUNT, struct.pack("=IIQQQ", 32, 0, ROOT, 0, 0), identifiers, 64, 0)
buffer = ctypes.create_string_buffer(4096)
for identifier in [*identifiers[: max(0, count)], 1]:
    wanted = struct.pack("=IIQQQ", 32, 0, identifier, BASIC | PROPAGATE | MNT_ROOT | POINT | SOURCE, 0)
    attempt("statmount", STATMOUNT, wanted, buffer, 4096, 0)
print("tried")
