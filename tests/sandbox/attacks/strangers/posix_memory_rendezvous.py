"""Two sessions agree on the name of a POSIX shared memory segment and of a semaphore.

Stopped by: mount namespace, private root
Sessions: 2
"""

import contextlib
import ctypes
import mmap
import os
import time

libc = ctypes.CDLL(None, use_errno=True)
library = libc if hasattr(libc, "shm_open") else ctypes.CDLL("librt.so.1", use_errno=True)
semaphores = libc if hasattr(libc, "sem_open") else ctypes.CDLL("libpthread.so.0", use_errno=True)
semaphores.sem_open.restype = ctypes.c_void_p
NAME = b"/belljar-rendezvous"
role = os.environ["ROLE"].encode()
mine, theirs = (0, 1) if role == b"one" else (1, 0)
fd = library.shm_open(NAME, os.O_RDWR | os.O_CREAT, 0o666)
memory = bytearray(4096)  # of its own, where no segment can be had
if fd >= 0:
    os.ftruncate(fd, 4096)
    memory = mmap.mmap(fd, 4096)
semaphore = semaphores.sem_open(NAME, os.O_CREAT, 0o666, 0)
value = ctypes.c_int()
deadline = time.monotonic() + 5
memory[mine] = 1
if role == b"one" and semaphore:
    semaphores.sem_post(ctypes.c_void_p(semaphore))
while time.monotonic() < deadline:
    if memory[theirs]:
        print("ESCAPED: another session wrote into the segment")
        break
    if role == b"two" and semaphore and semaphores.sem_trywait(ctypes.c_void_p(semaphore)) == 0:
        print("ESCAPED: another session raised the semaphore")
        break
    time.sleep(0.02)
with contextlib.suppress(OSError):
    library.shm_unlink(NAME)
    semaphores.sem_unlink(NAME)
print("tried")
