"""Hands every child arguments of five megabytes: the kernel copies them to where no rlimit of data counts.

Stopped by: cgroup
Not at: limited - without a cgroup the arguments of a new program are seen at the next look only
Ends: completed, out_of_memory
"""

import contextlib
import os
import resource
import time

PIECE = "x" * (2**17 - 1)  # one argument has at most 128 KiB
ARGUMENTS = ["sh", "-c", "read line", *[PIECE] * 40]
EACH = sum(map(len, ARGUMENTS))

with contextlib.suppress(OSError, ValueError):
    # All arguments together have at most a quarter of the stack's limit, and 6 MiB.
    resource.setrlimit(resource.RLIMIT_STACK, (64 * 2**20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
reading, writing = os.pipe()
os.set_inheritable(writing, True)
children = []
for _ in range(60):
    with contextlib.suppress(OSError, MemoryError):
        waits = [(os.POSIX_SPAWN_DUP2, reading, 0)]
        children.append(os.posix_spawn("/bin/sh", ARGUMENTS, {}, file_actions=waits))
for _ in range(100):
    time.sleep(0.01)
alive = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
if len(alive) * EACH > 256 * 2**20:
    print("ESCAPED:", len(alive) * EACH // 2**20, "MiB of arguments")
for pid in alive:
    os.kill(pid, 9)
print("tried")
