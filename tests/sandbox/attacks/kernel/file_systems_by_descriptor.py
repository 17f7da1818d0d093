"""Makes a file system and mounts it, by the calls that work on descriptors instead of paths.

Stopped by: seccomp, capabilities
"""

# A length in fsconfig ran over (CVE-2022-0185): out of a container, with the rights of a user namespace.

import ctypes
import errno
import os

FSOPEN, FSCONFIG, FSMOUNT, FSPICK, MOVE_MOUNT, OPEN_TREE = 430, 431, 432, 433, 429, 428
AT_FDCWD, SET_STRING, CREATE, RECONFIGURE = -100, 1, 6, 7

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


for kind in (b"tmpfs", b"proc", b"overlay", b"ext4", b"cgroup2", b"sysfs"):
    fd = attempt(f"fsopen {kind!r}", FSOPEN, kind, 0)
    if fd >= 0:
        attempt("a parameter", FSCONFIG, fd, SET_STRING, b"size", b"1M", 0)
        if call(FSCONFIG, fd, CREATE, 0, 0, 0) == 0:
            mount = call(FSMOUNT, fd, 0, 0)
            os.makedirs("place", exist_ok=True)
            if call(MOVE_MOUNT, mount, b"", AT_FDCWD, b"place", 4) == 0:
                print("ESCAPED: mounted", kind)
attempt("fsconfig on a pipe", FSCONFIG, os.pipe()[0], SET_STRING, b"a" * 4000, b"b", 0)
attempt("fspick", FSPICK, AT_FDCWD, b"/", 0)
attempt("fsmount", FSMOUNT, -1, 0, 0)
attempt("move_mount", MOVE_MOUNT, -1, b"", AT_FDCWD, b"/", 4)
print("tried")
