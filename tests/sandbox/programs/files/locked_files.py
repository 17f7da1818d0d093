"""Locks files against other processes, by flock and by record, and appends from several at once."""

import errno
import fcntl
import os
from pathlib import Path

Path("lock").write_bytes(b"0" * 100)


def attempt(take):
    """What a child gets that tries `take` on a descriptor of its own: 0 or an errno."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            take(os.open("lock", os.O_RDWR))
            code = 0
        except OSError as error:
            code = error.errno
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def exclusive(fd):
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def record(fd):
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 50)


with open("lock", "r+b") as file:
    for take in (exclusive, record):
        take(file.fileno())
        assert attempt(take) in (errno.EAGAIN, errno.EACCES), take
    fcntl.flock(file, fcntl.LOCK_UN)
    fcntl.lockf(file, fcntl.LOCK_UN, 10, 50)
    assert attempt(exclusive) == 0
    assert attempt(record) == 0

pids = []
for number in range(5):
    pid = os.fork()
    if pid == 0:
        with open("log", "ab", buffering=0) as log:
            log.writelines(f"{number} {count}\n".encode() for count in range(100))
        os._exit(0)
    pids.append(pid)
for pid in pids:
    assert os.waitpid(pid, 0)[1] == 0
lines = Path("log").read_text().splitlines()
assert len(lines) == len(set(lines)) == 500
with open("exclusive", "x"):
    try:
        os.open("exclusive", os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        print("done")
