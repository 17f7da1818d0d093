"""Sets flags on its files that even root respects, freezes their file system, and asks where they lie on the disk.

Stopped by: seccomp
"""

# An immutable file stays when the keeper clears up; clones and extents reach file-system code that few have read.

import ctypes
import errno
import os
import platform
import struct

IOCTL = 16 if platform.machine() == "x86_64" else 29
GETATTR, SETATTR = 468, 469
IMMUTABLE, NODUMP = 0x10, 0x40
REQUESTS = {
    "FS_IOC_GETFLAGS": (0x80086601, 0), "FS_IOC_SETFLAGS": (0x40086602, NODUMP), "FS_IOC_FSGETXATTR": (0x801C581F, 0),
    "FS_IOC_GETVERSION": (0x80087601, 0), "FICLONE": (0x40049409, None), "FIBMAP": (1, 0), "FIGETBSZ": (2, 0),
    "FIEMAP": (0xC020660B, 0), "FIDEDUPERANGE": (0xC0189436, 0), "FS_IOC_GETFSUUID": (0x80111500, 0),
    "FS_IOC_ENABLE_VERITY": (0x40806685, 0), "FS_IOC_SET_ENCRYPTION_POLICY": (0x800C6613, 0), "FITRIM": (0xC0185879, 0),
    "FIOQSIZE": (0x5460, 0),
}  # fmt: skip

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


fd = os.open("flagged", os.O_RDWR | os.O_CREAT, 0o600)
for upper in (0, 1 << 32):
    for name, (request, value) in REQUESTS.items():
        room = fd if value is None else ctypes.create_string_buffer(struct.pack("=I", value), 256)
        attempt(name, IOCTL, fd, upper | request, room)
attributes = struct.pack("=QIIII", IMMUTABLE, 0, 0, 0, 0)
attempt("file_setattr", SETATTR, -100, b"flagged", attributes, 24, 0)
attempt("file_getattr", GETATTR, -100, b"flagged", ctypes.create_string_buffer(24), 24, 0)
call(SETATTR, -100, b"flagged", bytes(24), 24, 0)
os.close(fd)
os.unlink("flagged")
print("tried")
