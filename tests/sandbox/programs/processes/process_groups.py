"""Puts children into groups and sessions of their own, signals whole groups, and changes priorities."""

import os
import signal
import subprocess

leader = subprocess.Popen(
    ["bash", "-c", "sleep 60 & sleep 60 & echo up; wait"], stdout=subprocess.PIPE, process_group=0
)
assert leader.stdout.readline() == b"up\n"
assert os.getpgid(leader.pid) == leader.pid
assert os.getpgrp() != leader.pid
os.killpg(leader.pid, signal.SIGTERM)
assert leader.wait(30) == -signal.SIGTERM
assert leader.stdout.read() == b""  # all that held the pipe are gone

pid = os.fork()
if pid == 0:
    os.setsid()
    os._exit(0 if os.getsid(0) == os.getpgrp() == os.getpid() else 1)
assert os.waitpid(pid, 0)[1] == 0

pid = os.fork()
if pid == 0:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os._exit(0 if os.nice(3) == before + 3 == os.getpriority(os.PRIO_PROCESS, 0) else 1)
assert os.waitpid(pid, 0)[1] == 0

cpus = os.sched_getaffinity(0)
pid = os.fork()
if pid == 0:
    try:
        os.sched_setaffinity(0, {min(cpus)})
    except PermissionError:
        os._exit(0)  # which processors it has may be fixed for it
    os._exit(0 if os.sched_getaffinity(0) == {min(cpus)} else 1)
assert os.waitpid(pid, 0)[1] == 0

# A child that is stopped is reported as stopped.
stopped = subprocess.Popen(["sleep", "60"])
os.kill(stopped.pid, signal.SIGSTOP)
_, status = os.waitpid(stopped.pid, os.WUNTRACED)
assert os.WIFSTOPPED(status)
stopped.kill()
assert stopped.wait(30) == -signal.SIGKILL
assert os.sched_getscheduler(0) == os.SCHED_OTHER
os.sched_yield()
print("done")
