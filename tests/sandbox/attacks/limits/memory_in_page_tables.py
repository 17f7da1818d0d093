"""Reads a byte in every two megabytes of a huge mapping: the pages cost nothing, the tables that lead to them do.

Stopped by: cgroup
Ends: out_of_memory, completed
"""

import contextlib
import ctypes
import mmap
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
STEP, COUNT = 2**21, 96 * 1024  # a table of 4 KiB for each: 384 MiB of them
NORESERVE, NOHUGEPAGE = 0x4000, 15
# Only to be read, so that it is no data either: every page is the kernel's one page of zeros.
flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE
start = libc.mmap(None, STEP * COUNT, mmap.PROT_READ, flags, -1, 0)
if start == ctypes.c_void_p(-1).value:
    print("refused")
else:
    libc.madvise(start, STEP * COUNT, NOHUGEPAGE)
    for at in range(start, start + STEP * COUNT, STEP):
        ctypes.c_ubyte.from_address(at).value  # noqa: B018 - a read is what it is about
    for _ in range(100):
        time.sleep(0.01)
    tables = 4 * COUNT  # of a KiB, as they have to be
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        tables = next(int(line.split()[1]) for line in status if line.startswith("VmPTE"))
    if tables > 256 * 1024:
        print("ESCAPED:", tables // 1024, "MiB of page tables")
print("tried")
