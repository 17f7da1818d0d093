"""Says over a Unix socket that it is another process and another user, as services that trust such words would believe.

Stopped by: capabilities, pid namespace
"""

import contextlib
import json
import os
import socket
import struct

bait = json.loads(os.environ["BAIT"])
SCM_CREDENTIALS = 2
own = (os.getpid(), os.getuid(), os.getgid())
claims = [(pid, own[1], own[2]) for pid in (bait["pid"], 1)]
claims += [(own[0], uid, own[2]) for uid in (0, 1, 65534)] + [(own[0], own[1], gid) for gid in (0, 1, 65534)]
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    except OSError:
        continue
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    for claim in claims:
        if claim == own:
            continue
        with contextlib.suppress(OSError):
            ours.sendmsg([b"x"], [(socket.SOL_SOCKET, SCM_CREDENTIALS, struct.pack("=3i", *claim))])
            _, ancillary, _, _ = theirs.recvmsg(1, socket.CMSG_SPACE(12))
            print("ESCAPED: believed to be", struct.unpack("=3i", ancillary[0][2][:12]))
print("tried")
