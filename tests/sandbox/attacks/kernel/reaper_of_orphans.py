"""Makes itself the process to which orphans fall, so that what it starts never comes to the box's pid 1.

Stopped by: seccomp
"""

# Under a sub-reaper a dead guest's children have a parent of the guest's choice, and the keeper counts along parents.

import ctypes
import errno
import platform

PRCTL = 157 if platform.machine() == "x86_64" else 167
PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 36, 37

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


for option in (PR_SET_CHILD_SUBREAPER, 1 << 32 | PR_SET_CHILD_SUBREAPER):
    attempt("a sub-reaper", PRCTL, option, 1, 0, 0, 0)
now = ctypes.c_int()
if call(PRCTL, PR_GET_CHILD_SUBREAPER, ctypes.byref(now), 0, 0, 0) == 0 and now.value:
    print("ESCAPED: orphans fall to us")
call(PRCTL, PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
print("tried")
