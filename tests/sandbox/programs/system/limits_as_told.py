"""Asks for its resource limits and use, and lowers a limit of its own."""

import errno
import os
import resource
import subprocess
import sys

for name in dir(resource):
    if name.startswith("RLIMIT_"):
        soft, hard = resource.getrlimit(getattr(resource, name))
        assert hard == resource.RLIM_INFINITY or 0 <= soft <= hard, name
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
assert soft >= 256
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
try:
    held = [os.dup(1) for _ in range(100)]
except OSError as error:
    assert error.errno == errno.EMFILE
else:
    raise AssertionError("no limit")
for fd in range(10, 64):
    try:
        os.close(fd)
    except OSError:
        continue
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
assert max(resource.getrlimit(resource.RLIMIT_CORE)) <= 1  # a byte: no core

code = "x = bytearray(512 * 1024 * 1024)"
cap = 256 * 1024 * 1024
small = subprocess.run(
    [sys.executable, "-c", code],
    capture_output=True,
    text=True,
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (cap, cap)),
)
assert small.returncode == 1
assert "MemoryError" in small.stderr
before = resource.getrusage(resource.RUSAGE_SELF)
sum(range(3_000_000))
after = resource.getrusage(resource.RUSAGE_SELF)
assert after.ru_utime > before.ru_utime
assert after.ru_maxrss > 1000
assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 1000
assert resource.getrusage(resource.RUSAGE_THREAD).ru_utime > 0
assert resource.getpagesize() == os.sysconf("SC_PAGESIZE")
assert os.sysconf("SC_OPEN_MAX") == soft
assert os.sysconf("SC_PHYS_PAGES") > 0
assert os.sysconf("SC_NPROCESSORS_ONLN") >= 1
print("done")
