"""Two sessions agree on a number, and meet in a System V segment, a semaphore and a message queue.

Stopped by: ipc namespace, seccomp
Sessions: 2
"""

import ctypes
import os
import time

libc = ctypes.CDLL(None, use_errno=True)
KEY, IPC_CREAT, IPC_NOWAIT, IPC_RMID = 0x6A72, 0o1000, 0o4000, 0
libc.shmat.restype = ctypes.c_void_p
role = os.environ["ROLE"].encode()
failed = ctypes.c_void_p(-1).value
segment = libc.shmget(KEY, 4096, IPC_CREAT | 0o666)
queue = libc.msgget(KEY, IPC_CREAT | 0o666)
semaphore = libc.semget(KEY, 1, IPC_CREAT | 0o666)
address = libc.shmat(segment, None, 0) if segment >= 0 else failed
mine, theirs = (0, 8) if role == b"one" else (8, 0)
kind = 1 if role == b"one" else 2


class Message(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_long), ("text", ctypes.c_char * 8))


deadline = time.monotonic() + 5
while max(segment, queue, semaphore) >= 0 and time.monotonic() < deadline:
    message = Message()
    if address != failed:
        ctypes.memmove(address + mine, role + bytes(5), 8)
    libc.msgsnd(queue, ctypes.byref(Message(kind, role)), 8, IPC_NOWAIT)
    found = []
    if address != failed and ctypes.string_at(address + theirs, 3) in (b"one", b"two"):
        found.append("a segment")
    if libc.msgrcv(queue, ctypes.byref(message), 8, 3 - kind, IPC_NOWAIT) >= 0:
        found.append("a message")
    if found:
        print("ESCAPED: of another session", found)
        break
    time.sleep(0.02)
if semaphore >= 0:
    print("ESCAPED: a semaphore that other sessions may use")
# Whoever comes last takes them away; a segment goes with its last user.
if kind == 2:
    time.sleep(0.2)
    libc.shmctl(segment, IPC_RMID, None)
    libc.msgctl(queue, IPC_RMID, None)
    libc.semctl(semaphore, 0, IPC_RMID)
print("tried")
