"""Asks the kernel for the number of the process at the other end of the control socket.

Stopped by: pid namespace
Not at: reduced - that a process with a certain number exists can be learned
"""

import socket
import struct

sock = socket.socket(fileno=3)
pid, uid, gid = struct.unpack("=3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
sock.detach()
if pid > 0:
    print("ESCAPED: the peer has the number", pid)
print("tried")
