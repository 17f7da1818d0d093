"""Moves the pages of a file into pipes and cuts the file off: the disk forgets the pages, and no process has them.

Stopped by: cgroup
Limits: memory_bytes=64 MiB, disk_bytes=16 MiB
Ends: completed, out_of_memory
Not at: limited - pages that only pipes hold are in no process and no file, and only a cgroup counts them
"""

import contextlib
import os
import select
import tempfile
import time

CHILDREN, PIPES, PIECE = 20, 500, 16 * 4096  # what fits into one pipe
reading, writing = os.pipe()


def hold() -> int:
    """Fill pipes with the pages of a file that is empty again; returns how many bytes they hold."""
    total = 0
    with contextlib.suppress(OSError):
        place, path = tempfile.mkstemp(dir="/dev/shm")
        os.unlink(path)
        for _ in range(PIPES):
            end = os.pipe2(os.O_NONBLOCK)[1]
            os.pwrite(place, b"x" * PIECE, 0)
            with contextlib.suppress(BlockingIOError):
                while moved := os.splice(place, end, PIECE):
                    total += moved
            os.lseek(place, 0, os.SEEK_SET)
            os.ftruncate(place, 0)
    return total


children = []
for _ in range(CHILDREN):
    with contextlib.suppress(OSError):
        if (pid := os.fork()) == 0:
            os.write(writing, hold().to_bytes(8, "big"))
            time.sleep(20)
            os._exit(0)
        children.append(pid)
held, deadline = [], time.monotonic() + 5
while len(held) < len(children) and select.select([reading], [], [], max(0, deadline - time.monotonic()))[0]:
    held.append(int.from_bytes(os.read(reading, 8), "big"))
for _ in range(100):
    time.sleep(0.01)
alive = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
print(sum(held), "bytes in", len(alive))
if len(alive) == len(held) == len(children) and sum(held) > 64 * 2**20:
    print("ESCAPED:", sum(held) // 2**20, "MiB of files that are empty")
for pid in alive:
    os.kill(pid, 9)
print("tried")
