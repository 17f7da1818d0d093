"""Works on one block of shared memory from several processes, by name, and deletes it.

Not at: reduced - there is no /dev/shm
"""

import multiprocessing
import os
from multiprocessing import shared_memory

import numpy

context = multiprocessing.get_context("fork")


def double(name, part):
    block = shared_memory.SharedMemory(name=name)
    array = numpy.ndarray((4, 1000), dtype=numpy.int64, buffer=block.buf)
    array[part] *= 2
    del array
    block.close()


block = shared_memory.SharedMemory(create=True, size=4 * 1000 * 8)
assert os.path.exists(f"/dev/shm/{block.name}")
array = numpy.ndarray((4, 1000), dtype=numpy.int64, buffer=block.buf)
array[:] = numpy.arange(4000).reshape(4, 1000)
processes = [context.Process(target=double, args=(block.name, part)) for part in range(4)]
for process in processes:
    process.start()
for process in processes:
    process.join(30)
    assert process.exitcode == 0
assert array.sum() == 2 * sum(range(4000))
del array
block.close()
block.unlink()
try:
    shared_memory.SharedMemory(name=block.name)
except FileNotFoundError:
    shares = shared_memory.ShareableList(["text", 1, 2.5, None, True])
    same = shared_memory.ShareableList(name=shares.shm.name)
    same[1] = 42
    assert list(shares) == ["text", 42, 2.5, None, True]
    same.shm.close()
    shares.shm.close()
    shares.shm.unlink()
    print("done")
