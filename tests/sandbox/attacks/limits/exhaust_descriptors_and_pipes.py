"""Fills what the kernel counts for each user: pipes at their largest, sockets with full buffers, epolls.

Stopped by: rlimits, seccomp
"""

import contextlib
import fcntl
import os
import select
import socket

held = []
with contextlib.suppress(OSError):
    for _ in range(300):
        reading, writing = os.pipe()
        held += [reading, writing]
        with contextlib.suppress(OSError):
            if fcntl.fcntl(writing, 1031, 1 << 20) >= 1 << 20 and len(held) == 2:
                print("ESCAPED: pipes as large as a user may have few of")
        os.set_blocking(writing, False)
        with contextlib.suppress(OSError):
            os.write(writing, bytes(1 << 16))
with contextlib.suppress(OSError):
    for _ in range(300):
        held.append(select.epoll())
with contextlib.suppress(OSError):
    while len(held) < 2000:
        held.append(socket.socketpair())
    print("ESCAPED: more descriptors than a session may have")
# Descriptors in flight in a cycle of sockets, which only the kernel's collector frees.
left = None
for thing in reversed(held):
    if isinstance(thing, tuple):
        left = thing
        break
if left is not None:
    for _ in range(100):
        with contextlib.suppress(OSError):
            socket.send_fds(left[0], [b"x"], [left[0].fileno(), left[1].fileno()])
for thing in held:
    if isinstance(thing, int):
        os.close(thing)
    elif isinstance(thing, tuple):
        thing[0].close()
        thing[1].close()
    else:
        thing.close()
print("tried")
