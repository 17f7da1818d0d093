"""Installs a filter that reports system calls to itself, and asks what filters could do.

Stopped by: seccomp
"""

# Whoever holds a listener answers a program's calls in the kernel's place, and puts descriptors into it.

import ctypes
import errno
import os
import platform
import struct

IS_X86 = platform.machine() == "x86_64"
SECCOMP, PRCTL = (317, 157) if IS_X86 else (277, 167)
STRICT, FILTER, ACTION_AVAILABLE, NOTIFICATION_SIZES = 0, 1, 2, 3
NEW_LISTENER, LOG, SPEC_ALLOW, TSYNC = 8, 2, 4, 1
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 38, 22
ALLOW = 0x7FFF0000

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


attempt("sizes", SECCOMP, NOTIFICATION_SIZES, 0, ctypes.create_string_buffer(6))
attempt("whether there is an action", SECCOMP, ACTION_AVAILABLE, 0, struct.pack("=I", 0x7FC00000))
code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, ALLOW))
program = struct.pack("HxxxxxxP", 1, ctypes.addressof(code))
for name, arguments in {
    "a listener": (SECCOMP, FILTER, NEW_LISTENER, program),
    "a filter that lets speculation go on": (SECCOMP, FILTER, SPEC_ALLOW, program),
    "a filter for all threads": (SECCOMP, FILTER, TSYNC | LOG, program),
    "a filter by prctl": (PRCTL, PR_SET_SECCOMP, FILTER, program),
    "a filter by prctl, upper half set": (PRCTL, 1 << 32 | PR_SET_SECCOMP, FILTER, program),
    "a mode that is not": (SECCOMP, 99, 0, program),
}.items():
    child = os.fork()  # a filter cannot be taken off again
    if child == 0:
        call(PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        os._exit(0 if call(*arguments) in (-errno.EPERM, -errno.ENOSYS) else 1)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        print("ESCAPED:", name)
print("tried")
