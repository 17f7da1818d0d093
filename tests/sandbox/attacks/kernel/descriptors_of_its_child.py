"""Takes an open descriptor out of another process by pidfd_getfd.

Stopped by: seccomp
"""

# It needs neither a socket nor the other's consent; where uids are shared it takes whatever the keeper's helpers hold.

import ctypes
import errno
import os
import signal

PIDFD_GETFD = 438

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


read_end, write_end = os.pipe()
child = os.fork()
if child == 0:
    signal.pause()
    os._exit(0)
os.close(write_end)
fd = handle_of(child)
attempt("the child's pipe", PIDFD_GETFD, fd, write_end, 0)
attempt("a descriptor of pid 1", PIDFD_GETFD, handle_of(1), 0, 0)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print("tried")
