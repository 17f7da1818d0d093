"""Two sessions agree on the name of a POSIX message queue, which lies in no directory.

Stopped by: ipc namespace, seccomp
Sessions: 2
"""

import ctypes
import os
import time

libc = ctypes.CDLL(None, use_errno=True)
library = libc if hasattr(libc, "mq_open") else ctypes.CDLL("librt.so.1", use_errno=True)
NAME = b"/belljar-rendezvous"
role = os.environ["ROLE"].encode()


def queue(name):
    return library.mq_open(name, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666, None)


mine, theirs = queue(NAME + b"-" + role), queue(NAME + (b"-two" if role == b"one" else b"-one"))
size = 65536
buffer = ctypes.create_string_buffer(size)
deadline = time.monotonic() + 5
while mine >= 0 and theirs >= 0 and time.monotonic() < deadline:
    library.mq_send(theirs, role, 3, 0)
    if library.mq_receive(mine, buffer, size, None) >= 0:
        print("ESCAPED: a message of another session", buffer.raw[:3])
        break
    time.sleep(0.02)
library.mq_unlink(NAME + b"-" + role)
print("tried")
