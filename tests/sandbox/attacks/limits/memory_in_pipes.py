"""Fills pipes byte by byte, each of which the kernel gives a page of its own, in as many processes as it may have.

Stopped by: cgroup
Ends: completed, out_of_memory
Not at: limited - buffers of pipes are the kernel's own memory, which only a cgroup counts
"""

import contextlib
import os
import resource
import select
import time

CHILDREN, PIPES = 56, 1100
reading, writing = os.pipe()


def fill() -> int:
    """Fill as many pipes as one process may have; returns how many pages they hold."""
    pages = 0
    with contextlib.suppress(OSError):
        for _ in range(PIPES):
            # In packet mode what is written next is never added to the page before.
            end = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)[1]
            with contextlib.suppress(BlockingIOError):
                while True:
                    pages += os.write(end, b"x")
    return pages


with contextlib.suppress(OSError, ValueError):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 2300), most))
children = []
for _ in range(CHILDREN):
    with contextlib.suppress(OSError):
        if (pid := os.fork()) == 0:
            os.write(writing, fill().to_bytes(8, "big"))
            time.sleep(20)
            os._exit(0)
        children.append(pid)
held, deadline = [], time.monotonic() + 6
while len(held) < len(children) and select.select([reading], [], [], max(0, deadline - time.monotonic()))[0]:
    held.append(int.from_bytes(os.read(reading, 8), "big"))
for _ in range(100):
    time.sleep(0.01)
alive = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
print(sum(held), "pages in the pipes of", len(alive))
if len(alive) == len(held) == len(children) and sum(held) * 4096 > 256 * 2**20:
    print("ESCAPED:", sum(held) * 4096 // 2**20, "MiB in pipes")
for pid in alive:
    os.kill(pid, 9)
print("tried")
