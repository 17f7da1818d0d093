"""Gives its files attributes: capabilities, access lists, marks of security modules, and ordinary ones.

Stopped by: seccomp, user namespace
"""

# A capability in an attribute is root at the next exec; and attributes outlive the session on what the keeper collects.

import ctypes
import errno
import os
import platform
import struct

IS_X86 = platform.machine() == "x86_64"
SET, LSET, FSET, REMOVE = (188, 189, 190, 197) if IS_X86 else (5, 6, 7, 14)
SETXATTRAT = 463
CAPABILITY = struct.pack("=5I", 0x02000001, 1 << 21, 0, 0, 0)
ACCESS = struct.pack("=I", 2) + b"".join(struct.pack("=HHI", kind, 4, 0xFFFFFFFF) for kind in (1, 4, 32))
NAMES = {
    b"security.capability": CAPABILITY, b"system.posix_acl_access": ACCESS, b"user.note": b"x",
    b"trusted.overlay.redirect": b"/", b"security.evm": b"\3x",
}  # fmt: skip

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(number, *arguments):
    """The call's result, or minus its errno."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *passed)
    return result if result >= 0 else -ctypes.get_errno()


def attempt(what, number, *arguments):
    """Says so where the kernel did it, or looked at the arguments: a shut door says EPERM, ENOSYS or EOPNOTSUPP."""
    result = call(number, *arguments)
    if result not in (-errno.EPERM, -errno.ENOSYS, -errno.EOPNOTSUPP):
        print("ESCAPED:", what, result)
    return result


fd = os.open("program", os.O_CREAT | os.O_RDWR, 0o755)
for name, value in NAMES.items():
    room = ctypes.create_string_buffer(value, len(value))
    attempt(f"setxattr {name!r}", SET, b"program", name, room, len(value), 0)
    attempt(f"lsetxattr {name!r}", LSET, b"program", name, room, len(value), 0)
    attempt(f"fsetxattr {name!r}", FSET, fd, name, room, len(value), 0)
    arguments = struct.pack("=QII", ctypes.addressof(room), len(value), 0)
    attempt(f"setxattrat {name!r}", SETXATTRAT, -100, b"program", 0, name, arguments, 16)
    attempt(f"removexattr {name!r}", REMOVE, b"program", name)
os.close(fd)
os.unlink("program")
print("tried")
