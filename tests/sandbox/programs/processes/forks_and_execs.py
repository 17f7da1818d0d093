"""Forks, executes and waits by hand, as a small shell would."""

import os
import signal
import sys
import time


def ended(pid):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    raise AssertionError("it does not end")


def child(run):
    """The pid of a forked child that runs `run` and ends with its number."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = run()
        finally:
            os._exit(code)
    return pid


assert ended(child(lambda: 7)) == 7
assert ended(child(lambda: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(60) or 0)) == -signal.SIGTERM
assert ended(child(lambda: os.execv(sys.executable, [sys.executable, "-c", "raise SystemExit(5)"]))) == 5
assert ended(child(lambda: os.execlp("sh", "sh", "-c", "exit 6"))) == 6
assert ended(child(lambda: os.execvpe("sh", ["sh", "-c", "exit $CODE"], {**os.environ, "CODE": "8"}))) == 8
assert ended(os.posix_spawnp("sh", ["sh", "-c", "exit 4"], os.environ)) == 4
assert ended(os.spawnlp(os.P_NOWAIT, "true", "true")) == 0
assert os.system("exit 3") >> 8 == 3
with os.popen("echo popen") as stream:
    assert stream.read() == "popen\n"

read, write = os.pipe()
pid = child(lambda: os.write(write, f"{os.getppid()}".encode()) and 0)
os.close(write)
assert int(os.read(read, 100)) == os.getpid()
_, status, used = os.wait4(pid, 0)
assert status == 0
assert used.ru_utime >= 0
pid = child(lambda: time.sleep(0.05) or 1)
known = os.waitid(os.P_PID, pid, os.WEXITED)
assert (known.si_pid, known.si_status) == (pid, 1)

# A grandchild that outlives its parent goes to the first process, and is no child of ours.
read, write = os.pipe()


def orphan():
    if os.fork() == 0:
        os.setsid()
        os.write(write, str(os.getpid()).encode())
        os._exit(0)
    return 0


assert ended(child(orphan)) == 0
os.close(write)
assert int(os.read(read, 100)) > 1
for _ in range(50):
    child(lambda: 0)
for _ in range(50):
    os.wait()
try:
    os.wait()
except ChildProcessError:
    print("done")
