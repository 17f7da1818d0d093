"""Looks for shared memory, semaphores and queues of others: System V, POSIX, and what lies in /dev/shm.

Stopped by: ipc namespace, seccomp, private root
"""

import contextlib
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
for identifier in range(64):
    address = libc.shmat(identifier, None, 0o10000)
    if address != -1:
        print("ESCAPED: attached segment", identifier)
    if libc.semctl(identifier, 0, 12) >= 0 or libc.msgctl(identifier, 2, None) == 0:
        print("ESCAPED: a queue or semaphore", identifier)
if libc.shmget(0x1234, 4096, 0o1666) >= 0:
    print("ESCAPED: a segment that other sessions could attach")
for place in ("/dev/shm", "/tmp"):
    with contextlib.suppress(PermissionError):
        if found := os.listdir(place):
            print("ESCAPED: files of others", found)
librt = ctypes.CDLL("librt.so.1", use_errno=True)
if librt.mq_open(b"/belljar", os.O_RDWR | os.O_CREAT, 0o666, None) >= 0:
    print("ESCAPED: a message queue")
print("tried")
