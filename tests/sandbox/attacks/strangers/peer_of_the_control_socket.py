"""Asks the kernel who is at the other end of the control socket, and reaches for that process.

Stopped by: pid namespace, seccomp
Not at: reduced - that a process with a certain number exists can be learned
"""

import os
import signal
import socket
import struct

sock = socket.socket(fileno=os.dup(3))
SO_PEERPIDFD, SO_PEERGROUPS = 77, 59
pid, uid, gid = struct.unpack("=3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
if pid > 0:
    print("ESCAPED: the peer has the number", pid)
try:
    (fd,) = struct.unpack("=i", sock.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4))
except OSError:
    fd = -1
if fd >= 0:
    try:
        signal.pidfd_send_signal(fd, 0)
        print("ESCAPED: may signal the keeper")
    except OSError:
        pass
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    for target in range(20):
        if libc.syscall(ctypes.c_long(438), ctypes.c_long(fd), ctypes.c_long(target), ctypes.c_long(0)) >= 0:
            print("ESCAPED: a descriptor of the keeper")
    for flag in (1 << 17, 1 << 28, 1 << 29, 1 << 30):
        if libc.setns(fd, flag) == 0:
            print("ESCAPED: into the keeper's namespaces")
    for request in range(0xFF00, 0xFF20):  # PIDFD_GET_*_NAMESPACE and PIDFD_GET_INFO
        if libc.ioctl(fd, ctypes.c_ulong(request), 0) >= 0:
            print("ESCAPED: ioctl", hex(request))
    try:
        with open(f"/proc/self/fdinfo/{fd}") as file:
            lines = dict(line.split(":") for line in file.read().splitlines() if ":" in line)
        if int(lines["Pid"]) > 0:
            print("ESCAPED: the keeper's number", lines["Pid"])
    except OSError:
        pass
print("tried")
