"""Becomes root of a new user namespace, by every call that makes or joins one.

Stopped by: seccomp
"""

import contextlib
import ctypes
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)
FLAGS = {
    "mnt": 1 << 17,
    "cgroup": 1 << 25,
    "uts": 1 << 26,
    "ipc": 1 << 27,
    "user": 1 << 28,
    "pid": 1 << 29,
    "net": 1 << 30,
}
me = os.getpid()
for name, flag in FLAGS.items():
    if libc.unshare(flag) == 0 or libc.unshare(flag | FLAGS["user"]) == 0:
        print("ESCAPED: unshare", name)
    for number in (56, 220):  # clone on x86-64 and aarch64
        for upper in (0, 1 << 32):
            result = libc.syscall(ctypes.c_long(number), ctypes.c_long(upper | flag | 17), 0, 0, 0, 0)
            if os.getpid() != me:
                os._exit(0)
            if result > 0 and number == (56 if os.uname().machine == "x86_64" else 220):
                print("ESCAPED: clone", name)
    arguments = struct.pack("=8Q", flag, 0, 0, 0, 17, 0, 0, 0)
    result = libc.syscall(ctypes.c_long(435), arguments, ctypes.c_long(len(arguments)))
    if result == 0 and os.getpid() != me:
        os._exit(0)
    if result > 0:
        print("ESCAPED: clone3", name)
for pid in ("1", "self"):
    for name in FLAGS:
        try:
            fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY)
        except OSError:
            continue
        if libc.setns(fd, 0) == 0:
            print("ESCAPED: setns", pid, name)
        os.close(fd)
with contextlib.suppress(PermissionError):
    if libc.setns(os.pidfd_open(1), FLAGS["mnt"]) == 0:
        print("ESCAPED: setns by pidfd")
if os.getuid() == 0:
    print("ESCAPED: root")
print("tried")
