"""Raises its stack's limit, runs itself again, and takes its memory as one deep stack, which is no data segment.

Stopped by: cgroup
Ends: out_of_memory, completed
"""

import contextlib
import os
import resource
import sys

DIGS = """
import ctypes, re, time
SIZE = 384 * 2**20
line = next(line for line in open("/proc/self/maps") if "[stack]" in line)
low, high = (int(part, 16) for part in re.match("([0-9a-f]+)-([0-9a-f]+)", line).groups())
for at in range(low - 4096, high - SIZE, -4096):
    ctypes.c_char.from_address(at).value = b"x"
for _ in range(100):
    time.sleep(0.01)
held = sum(ctypes.c_char.from_address(at).value == b"x" for at in range(low - 4096, high - SIZE, -4096))
print("ESCAPED:", held // 256, "MiB of stack")
"""

with contextlib.suppress(OSError, ValueError):
    # With no limit the kernel also leaves room below the stack for it to grow into.
    resource.setrlimit(resource.RLIMIT_STACK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
# A child dies of SIGSEGV where it may not grow so far, and of SIGKILL where its memory is counted.
sys.stdout.flush()
child = os.posix_spawn(sys.executable, [sys.executable, "-c", DIGS], dict(os.environ))
print("its end:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("tried")
