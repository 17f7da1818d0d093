"""Kills the bait by every call but kill: by thread, by queued signal, and by a signal that claims to be the kernel's.

Stopped by: pid namespace, seccomp
Succeeds by: harm
"""

import ctypes
import json
import os
import signal
import struct

libc = ctypes.CDLL(None, use_errno=True)
# tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo
TKILL, TGKILL, QUEUE, THREAD_QUEUE = (
    (200, 234, 129, 297) if os.uname().machine == "x86_64" else (130, 131, 138, 240)
)
bait = json.loads(os.environ["BAIT"])
target, number = ctypes.c_long(bait["pid"]), ctypes.c_long(signal.SIGKILL)
SI_QUEUE, SI_KERNEL = -1, 0x80


def call(*arguments):
    libc.syscall(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))


if bait["pid"] != os.getpid():
    for code in (SI_QUEUE, SI_KERNEL):
        information = ctypes.create_string_buffer(struct.pack("=3i4xiI", signal.SIGKILL, 0, code, 1, 0), 128)
        call(QUEUE, target, number, information)
        call(THREAD_QUEUE, target, target, number, information)
    call(TGKILL, target, target, number)
    call(TGKILL, -1, target, number)
    call(TKILL, target, number)
print("tried")
