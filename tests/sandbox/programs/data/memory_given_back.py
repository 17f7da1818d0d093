"""Uses much memory again and again, and gives it back each time: arrays, objects, mappings, children, files.

Limits: memory_bytes=256 MiB
Not at: reduced - it reads its own use of memory below /proc
"""

import mmap
import os

import numpy

MIB = 1024 * 1024


def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE


before = used()
for _ in range(4):
    array = numpy.ones(180 * MIB // 8)
    assert used() - before > 170 * MIB
    del array
    assert used() - before < 60 * MIB
for _ in range(3):
    text = [str(number) * 10 for number in range(500_000)]
    assert used() - before > 20 * MIB
    del text
for _ in range(4):
    view = mmap.mmap(-1, 180 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, len(view), mmap.PAGESIZE):
        view[at] = 1
    view.close()
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        numpy.ones(180 * MIB // 8)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
with open("file", "wb") as file:
    for _ in range(3):
        file.write(bytes(100 * MIB))
        file.truncate(0)
        file.seek(0)
try:
    bytearray(2**62)
except MemoryError:
    print("done")
