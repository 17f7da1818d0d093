"""Child processes in each way that the standard library has, with pipes, signals, groups and exit codes."""

import os
import signal
import subprocess
import sys
import threading

assert subprocess.run(["echo", "a"], capture_output=True, text=True, check=True).stdout == "a\n"
assert subprocess.run("printf 'b\\nc' | sort -r", shell=True, capture_output=True).stdout == b"c\nb\n"
assert subprocess.run(["cat"], input=b"x" * 1_000_000, capture_output=True).stdout == b"x" * 1_000_000
assert subprocess.run([sys.executable, "-c", "import sys; sys.exit(7)"]).returncode == 7
sleeper = subprocess.Popen(["sleep", "60"], start_new_session=True)
assert os.getsid(sleeper.pid) == sleeper.pid
os.killpg(sleeper.pid, signal.SIGTERM)
assert sleeper.wait(20) == -signal.SIGTERM
grouped = subprocess.Popen(["sleep", "60"], process_group=0, close_fds=False)
assert os.getpgid(grouped.pid) == grouped.pid
grouped.kill()
assert grouped.wait(20) == -signal.SIGKILL
try:
    subprocess.run(["sleep", "60"], timeout=0.05)
except subprocess.TimeoutExpired:
    timed_out = True
assert timed_out
prepared = subprocess.run(
    ["id", "-u"], preexec_fn=lambda: os.umask(0o77) and None, cwd="/", stdout=subprocess.PIPE
)
assert int(prepared.stdout) == os.getuid()
pid = os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_CLOSE, 0)])
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
pid = os.posix_spawn("/bin/true", ["true"], {}, setpgroup=0, setsigdef=[signal.SIGINT], setsigmask=[])
assert os.waitid(os.P_PID, pid, os.WEXITED).si_status == 0
with os.popen("echo popen") as stream:
    assert stream.read() == "popen\n"
assert os.system("exit 3") >> 8 == 3
started = [subprocess.Popen(["true"]) for _ in range(20)]
threads = [threading.Thread(target=child.wait) for child in started]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert {child.returncode for child in started} == {0}
child = os.fork()
if child == 0:
    os.execve(os.open("/bin/true", os.O_RDONLY), ["true"], {})
assert os.wait4(child, 0)[2].ru_maxrss > 0
print("ok")
