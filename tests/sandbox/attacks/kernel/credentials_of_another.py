"""Sends a message that says it is from another process and another user.

Stopped by: capabilities
"""

# The other end of a Unix socket believes the kernel, and the kernel believes a sender with capabilities.

import os
import socket
import struct

me = os.getpid()
here, there = socket.socketpair()
there.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
for pid, uid, gid in (
    (1, os.getuid(), os.getgid()),
    (os.getppid(), 0, 0),
    (me, 0, 1),
    (me, 65534, 65534),
    (1, 0, 0),
):
    claimed = struct.pack("=3i", pid, uid, gid)
    try:
        here.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, claimed)])
    except OSError:
        continue
    data, messages, _, _ = there.recvmsg(1, socket.CMSG_SPACE(12))
    seen = struct.unpack("=3i", messages[0][2])
    if seen != (me, os.getuid(), os.getgid()):
        print("ESCAPED: taken for", seen)
print("tried")
