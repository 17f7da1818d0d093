"""Writes its own table of segments, asks for the ports of devices, and for all interrupts to stop. On x86-64.

Stopped by: seccomp
"""

# modify_ldt had CVE-2015-5157 and CVE-2017-17053; who has ports has the machine's disks.

import ctypes
import errno
import platform
import struct

MODIFY_LDT, IOPL, IOPERM = 154, 172, 173

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


if platform.machine() == "x86_64":
    for function, size in ((0, 64), (2, 64), (1, 16), (0x11, 16), (1, 8)):
        entry = ctypes.create_string_buffer(struct.pack("=IIII", 0, 0x1000, 0xFFFFF, 0x51), 64)
        attempt(f"modify_ldt {function}", MODIFY_LDT, function, entry, size)
    for level in (0, 3, 4):
        attempt(f"iopl {level}", IOPL, level)
    for port, count in ((0x80, 1), (0x3F8, 8), (0, 65536), (65536, 1)):
        attempt(f"ioperm {port}", IOPERM, port, count, 1)
        attempt(f"ioperm {port} off", IOPERM, port, count, 0)
print("tried")
