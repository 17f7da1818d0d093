"""Makes semaphores of System V whose changes the kernel undoes when their process dies.

Stopped by: seccomp
"""

# The kernel's list of what to undo outlives the process that asked for it, and semaphores outlive all that know them.

import ctypes
import errno
import platform
import struct

GET, OPERATE, TIMED, CONTROL = (64, 65, 220, 66) if platform.machine() == "x86_64" else (190, 193, 192, 191)
IPC_PRIVATE, REMOVE, INFORMATION, UNDO = 0, 0, 3, 0x1000

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


semaphores = attempt("semaphores", GET, IPC_PRIVATE, 250, 0o600)
attempt("to be undone", OPERATE, max(0, semaphores), struct.pack("=Hhh", 0, 1, UNDO), 1)
attempt(
    "to be undone, in time",
    TIMED,
    max(0, semaphores),
    struct.pack("=Hhh", 0, 1, UNDO),
    1,
    struct.pack("=qq", 0, 1),
)
attempt("what semaphores there are", CONTROL, 0, 0, INFORMATION, ctypes.create_string_buffer(64))
if semaphores >= 0:
    call(CONTROL, semaphores, 0, REMOVE, 0)
print("tried")
