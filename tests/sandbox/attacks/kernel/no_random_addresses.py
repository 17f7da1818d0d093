"""Turns off the random layout of memory for what it starts, and makes all that is readable executable.

Stopped by: seccomp
"""

# The persona outlives exec, so that a set-user-ID program would start at known addresses with an executable stack.

import ctypes
import errno
import platform
import subprocess
import sys

PERSONALITY = 135 if platform.machine() == "x86_64" else 92
ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, SHORT_INODE, MMAP_PAGE_ZERO, PER_LINUX32 = (
    0x0040000, 0x0400000, 0x1000000, 0x0100000, 0x0008,
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


for persona in (
    READ_IMPLIES_EXEC,
    SHORT_INODE,
    MMAP_PAGE_ZERO,
    PER_LINUX32,
    ADDR_NO_RANDOMIZE,
    1 << 32 | ADDR_NO_RANDOMIZE,
):
    attempt(f"persona {persona:#x}", PERSONALITY, persona)
# Large enough to be a mapping of its own: an interpreter that is no PIE has its own data at one place.
code = "import ctypes; print(ctypes.addressof(ctypes.create_string_buffer(1 << 20)))"
seen = {
    subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True).stdout for _ in range(3)
}
if len(seen) == 1 and seen != {b""}:
    print("ESCAPED: each start at", seen)
call(PERSONALITY, 0)
print("tried")
