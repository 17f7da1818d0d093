"""Asks the kernel for a handle of whoever is at the other end of the control socket, and reaches for that process.

Stopped by: pid namespace, seccomp, Landlock
"""

import contextlib
import ctypes
import os
import signal
import socket
import struct

libc = ctypes.CDLL(None, use_errno=True)
sock = socket.socket(fileno=os.dup(3))
PIDFD_GETFD = 438
SO_PEERPIDFD, SO_PEERGROUPS = 77, 59
handles = []
with contextlib.suppress(OSError):
    handles += struct.unpack("=i", sock.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4))
with contextlib.suppress(OSError):
    if groups := sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 1024):
        print("ESCAPED: the keeper's groups", groups)
pid, _, _ = struct.unpack("=3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
# Where there are no boxes it has a number, and the parent that looks after this process has one.
for number in {pid, os.getppid()} - {0, 1, os.getpid()}:
    with contextlib.suppress(OSError):
        os.kill(number, 0)
        print("ESCAPED: may signal", number)
    with contextlib.suppress(OSError):
        handles.append(os.pidfd_open(number))
    for name in ("cmdline", "environ", "maps", "status"):
        with contextlib.suppress(OSError), open(f"/proc/{number}/{name}", "rb") as file:
            print("ESCAPED: read", file.name, file.read(60))
    with contextlib.suppress(OSError):
        print("ESCAPED: descriptors of", number, os.listdir(f"/proc/{number}/fd"))
for fd in handles:
    with contextlib.suppress(OSError):
        signal.pidfd_send_signal(fd, 0)
        print("ESCAPED: may signal by a handle")
    for target in range(20):
        if libc.syscall(*map(ctypes.c_long, (PIDFD_GETFD, fd, target, 0))) >= 0:
            print("ESCAPED: a descriptor of the keeper")
    for flag in (1 << 17, 1 << 28, 1 << 29, 1 << 30):
        if libc.setns(fd, flag) == 0:
            print("ESCAPED: into the keeper's namespaces")
    for request in range(0xFF00, 0xFF20):  # PIDFD_GET_*_NAMESPACE and PIDFD_GET_INFO
        if libc.ioctl(fd, ctypes.c_ulong(request), 0) >= 0:
            print("ESCAPED: ioctl", hex(request))
    with contextlib.suppress(OSError), open(f"/proc/self/fdinfo/{fd}") as file:
        lines = dict(line.split(":") for line in file.read().splitlines() if ":" in line)
        if int(lines["Pid"]) > 0:
            print("ESCAPED: the keeper's number", lines["Pid"])
print("tried")
