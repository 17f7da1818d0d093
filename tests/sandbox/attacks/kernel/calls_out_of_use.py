"""Tries the calls that nobody uses any more: terminals hung up, pages out of order, types of file systems.

Stopped by: seccomp
"""

# Nobody looks at code that nobody runs: remap_file_pages went past a security check until CVE-2024-47745.

import ctypes
import errno
import mmap
import os
import platform
import tempfile

IS_X86 = platform.machine() == "x86_64"
SHARED = 1
NUMBERS = {
    # x86-64, aarch64; None where the architecture never had it
    "uselib": (134, None), "ustat": (136, None), "sysfs": (139, None), "_sysctl": (156, None),
    "vhangup": (153, 58), "remap_file_pages": (216, 234), "lookup_dcookie": (212, 18), "nfsservctl": (180, 42),
    "create_module": (174, None), "get_kernel_syms": (177, None), "query_module": (178, None),
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


with tempfile.TemporaryFile() as file:
    file.truncate(2 * mmap.PAGESIZE)
    memory = mmap.mmap(file.fileno(), 2 * mmap.PAGESIZE, SHARED)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
arguments = {
    "remap_file_pages": (address, mmap.PAGESIZE, 0, 1, 0),
    "sysfs": (3, 0, 0),
    "ustat": (os.stat(".").st_dev, ctypes.create_string_buffer(64)),
}
for name, numbers in NUMBERS.items():
    number = numbers[0 if IS_X86 else 1]
    if number is not None:
        attempt(name, number, *arguments.get(name, (0, 0, 0, 0, 0)))
print("tried")
