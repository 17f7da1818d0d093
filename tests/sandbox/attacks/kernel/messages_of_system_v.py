"""Makes System V queues and fills them with messages of a size of its choice.

Stopped by: seccomp
"""

# msg_msg, of any size and content, is the filling of choice for a freed place in the kernel's heap (CVE-2021-22555).

import ctypes
import errno
import platform
import struct

GET, SEND, RECEIVE, CONTROL = (68, 69, 70, 71) if platform.machine() == "x86_64" else (186, 189, 188, 187)
IPC_PRIVATE, REMOVE, INFORMATION, NOWAIT = 0, 0, 3, 0o4000

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


queue = attempt("a queue", GET, IPC_PRIVATE, 0o600)
for size in (48, 976, 4048):
    attempt(
        f"a message of {size} bytes", SEND, max(0, queue), struct.pack("=q", 1) + b"A" * size, size, NOWAIT
    )
attempt(
    "a copy of a message",
    RECEIVE,
    max(0, queue),
    ctypes.create_string_buffer(8192),
    4096,
    0,
    NOWAIT | 0o40000,
)
attempt("what queues there are", CONTROL, 0, INFORMATION, ctypes.create_string_buffer(256))
if queue >= 0:
    call(CONTROL, queue, REMOVE, 0)
print("tried")
