"""Makes another directory the root, by pivot_root on a mount of its own and by chroot on what is there.

Stopped by: seccomp, capabilities
"""

# pivot_root moves every process of the mount namespace: who joins the box later would stand in the guest's root.

import ctypes
import errno
import os
import platform

IS_X86 = platform.machine() == "x86_64"
MOUNT, PIVOT_ROOT, CHROOT = (165, 155, 161) if IS_X86 else (40, 41, 51)

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


os.makedirs("root/old", exist_ok=True)
call(MOUNT, b"none", b"root", b"tmpfs", 0, 0)
attempt("pivot_root that lacks the directory", PIVOT_ROOT, b"root", b"root/nowhere")
attempt("pivot_root in place", PIVOT_ROOT, b".", b".")
child = os.fork()
if child == 0:
    result = call(CHROOT, b"root")
    os._exit(0 if result in (-errno.EPERM, -errno.ENOSYS) else 1)
if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
    print("ESCAPED: chroot")
print("tried")
