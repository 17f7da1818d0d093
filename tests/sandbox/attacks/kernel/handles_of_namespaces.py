"""Opens namespaces and processes by their handles, for which no mount and no /proc is needed.

Stopped by: seccomp
"""

# Linux 6.18 gave namespaces handles, and 6.14 processes: a root that stands for itself, and a number to be guessed.

import ctypes
import errno
import os
import platform
import struct

NAME_TO, OPEN_BY = (303, 304) if platform.machine() == "x86_64" else (264, 265)
ROOTS = {"pidfs": -10002, "nsfs": -10003, "here": -100}
INITIAL = {"user": 0xEFFFFFFD, "pid": 0xEFFFFFFC, "cgroup": 0xEFFFFFFB, "net": 0xEFFFFFF9, "mnt": 0xEFFFFFF8}

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


def handle_of(pid):
    """A pidfd; where there is none to be had, a number that could be one: the filter is asked all the same."""
    try:
        return os.pidfd_open(pid)
    except PermissionError:
        return 99


for name, root in ROOTS.items():
    for number in INITIAL.values():
        handle = struct.pack("=IiQII", 16, 0xF1, 0, 0, number)
        attempt(f"a handle of {name}", OPEN_BY, root, handle, os.O_RDONLY)
room = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0), 136)
mount = ctypes.create_string_buffer(8)
for fd in (handle_of(1), os.open(".", os.O_RDONLY)):
    for flags in (
        0x1000,
        0x1000 | 0x200,
        0x1000 | 1,
    ):  # AT_EMPTY_PATH; AT_HANDLE_FID; AT_HANDLE_MNT_ID_UNIQUE
        attempt("the handle of a descriptor", NAME_TO, fd, b"", room, mount, flags)
print("tried")
