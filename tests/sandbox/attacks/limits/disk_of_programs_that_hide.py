"""Runs a program that may be run and not be read: whoever has no power over it sees neither its memory nor its files.

Stopped by: tmpfs
Ends: completed, crashed, disk_full, out_of_memory
"""

import contextlib
import os
import select
import signal
import sys
import time

CHILDREN, FILES, EACH = 4, 3, 8 * 2**20  # 96 of 64 MiB
HOLDS = f"""
import os, sys, time
total = 0
for number in range({FILES}):
    name = f"{{os.getpid()}}-{{number}}"
    held = os.open(name, os.O_CREAT | os.O_RDWR, 0o600)
    os.unlink(name)
    try:
        while os.fstat(held).st_size < {EACH}:
            os.write(held, bytes(2**20))
    except OSError:
        pass
    total += os.fstat(held).st_blocks * 512
os.write(int(sys.argv[1]), total.to_bytes(8, "big"))
time.sleep(20)
"""
environment = os.environ | {"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}
reading, writing = os.pipe()
os.set_inheritable(writing, True)
with open(os.path.realpath(sys.executable), "rb") as program:
    hidden = os.open("hidden", os.O_CREAT | os.O_WRONLY, 0o111)
    with contextlib.suppress(OSError), open(hidden, "wb") as file:
        file.write(program.read())
children = []
for _ in range(CHILDREN):
    if (pid := os.fork()) == 0:
        with contextlib.suppress(OSError):
            os.execve("hidden", ["python", "-I", "-S", "-c", HOLDS, str(writing)], environment)
        os._exit(1)
    children.append(pid)
held, deadline = [], time.monotonic() + 8
while len(held) < CHILDREN and select.select([reading], [], [], max(0, deadline - time.monotonic()))[0]:
    held.append(int.from_bytes(os.read(reading, 8), "big"))
for _ in range(100):
    time.sleep(0.01)
alive = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
print(sum(held), "bytes are held by", len(alive))
if sum(held) > 64 * 2**20 and len(alive) == CHILDREN:
    print("ESCAPED:", sum(held) // 2**20, "MiB in files that nobody sees")
for pid in alive:
    os.kill(pid, signal.SIGKILL)
os.unlink("hidden")
print("tried")
