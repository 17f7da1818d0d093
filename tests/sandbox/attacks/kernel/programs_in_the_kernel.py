"""Makes eBPF maps, loads eBPF programs, and takes those that others have loaded.

Stopped by: seccomp
"""

# The verifier was wrong more than once, and then a program writes to all of memory: CVE-2020-8835, CVE-2021-3490.

import ctypes
import errno
import platform
import struct

BPF = 321 if platform.machine() == "x86_64" else 280
MAP_CREATE, MAP_LOOKUP, PROG_LOAD, OBJ_GET, PROG_GET_NEXT_ID, PROG_GET_FD, BTF_LOAD, QUERY, TOKEN = (
    0, 1, 5, 7, 11, 13, 18, 16, 36,
)  # fmt: skip

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


code = ctypes.create_string_buffer(struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0))
licence = ctypes.create_string_buffer(b"GPL")
program = struct.pack("=IIQQ", 1, 2, ctypes.addressof(code), ctypes.addressof(licence))
path = ctypes.create_string_buffer(b"/sys/fs/bpf/x")
attributes = {
    MAP_CREATE: struct.pack("=5I", 2, 4, 8, 1, 0),
    PROG_LOAD: program,
    OBJ_GET: struct.pack("=QII", ctypes.addressof(path), 0, 0),
    MAP_LOOKUP: struct.pack("=IIQQQ", 0xFFFFFFFF, 0, 0, 0, 0),
}
for command in (
    MAP_CREATE,
    MAP_LOOKUP,
    PROG_LOAD,
    OBJ_GET,
    PROG_GET_NEXT_ID,
    PROG_GET_FD,
    BTF_LOAD,
    QUERY,
    TOKEN,
):
    attribute = ctypes.create_string_buffer(attributes.get(command, b"").ljust(128, b"\0"))
    attempt(f"bpf command {command}", BPF, command, attribute, 128)
print("tried")
