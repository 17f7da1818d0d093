"""Learns the numbers of the processes that it has to do with: the keeper's, of the control socket, and its parent's.

Stopped by: pid namespace
Not at: reduced - that a process with a certain number exists can be learned
"""

import os
import socket
import struct

sock = socket.socket(fileno=os.dup(3))
pid, _, _ = struct.unpack("=3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
if pid > 0:
    print("ESCAPED: the peer has the number", pid)
if (parent := os.getppid()) > 1:
    print("ESCAPED: the parent has the number", parent)
print("tried")
