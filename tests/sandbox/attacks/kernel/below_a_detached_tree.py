"""Copies a tree without what is mounted on it, to see what the mounts hide, and makes it writable.

Stopped by: seccomp, capabilities
"""

# open_tree leaves out the mounts below, so an over-mounted secret is seen; mount_setattr takes `read-only` away.

import ctypes
import errno
import struct

OPEN_TREE, MOUNT_SETATTR, OPEN_TREE_ATTR = 428, 442, 467
AT_FDCWD, CLONE, AT_EMPTY_PATH, AT_RECURSIVE = -100, 1, 0x1000, 0x8000
RDONLY, NOSUID, NODEV = 1, 2, 4

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


attributes = struct.pack("=QQQQ", 0, RDONLY | NOSUID | NODEV, 0, 0)
for path in (b"/", b"/proc", b"/usr/bin", b"/tmp", b"/dev/null"):
    for flags in (0, CLONE, CLONE | AT_RECURSIVE):
        fd = attempt(f"open_tree {path!r}", OPEN_TREE, AT_FDCWD, path, flags)
        if fd >= 0:
            attempt("its attributes", MOUNT_SETATTR, fd, b"", AT_EMPTY_PATH, attributes, 32)
    attempt(f"mount_setattr {path!r}", MOUNT_SETATTR, AT_FDCWD, path, 0, attributes, 32)
    attempt("open_tree_attr", OPEN_TREE_ATTR, AT_FDCWD, path, CLONE, attributes, 32)
print("tried")
