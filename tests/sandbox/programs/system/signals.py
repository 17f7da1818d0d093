"""Handles, blocks, waits for and sends signals, to itself, its threads and its children."""

import os
import signal
import subprocess
import threading
import time

heard = []
signal.signal(signal.SIGUSR1, lambda number, frame: heard.append((number, frame is not None)))
signal.raise_signal(signal.SIGUSR1)
os.kill(os.getpid(), signal.SIGUSR1)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
assert heard == [(signal.SIGUSR1, True)] * 3

before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
os.kill(os.getpid(), signal.SIGUSR1)
assert signal.SIGUSR1 in signal.sigpending()
assert signal.sigwait({signal.SIGUSR1}) == signal.SIGUSR1
threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGUSR2)).start()
info = signal.sigwaitinfo({signal.SIGUSR2})
assert (info.si_signo, info.si_pid, info.si_uid) == (signal.SIGUSR2, os.getpid(), os.getuid())
assert signal.sigtimedwait({signal.SIGUSR2}, 0.01) is None
signal.pthread_sigmask(signal.SIG_SETMASK, before)

ended = []
signal.signal(signal.SIGCHLD, lambda *_: ended.append(os.waitpid(-1, os.WNOHANG)))
pid = os.fork()
if pid == 0:
    os._exit(4)
deadline = time.monotonic() + 30
while not ended and time.monotonic() < deadline:
    time.sleep(0.01)
assert [(found, os.waitstatus_to_exitcode(status)) for found, status in ended] == [(pid, 4)]
signal.signal(signal.SIGCHLD, signal.SIG_DFL)

try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
except KeyboardInterrupt:
    interrupted = True
assert interrupted

read, write = os.pipe()
os.set_blocking(write, False)
signal.set_wakeup_fd(write)
os.kill(os.getpid(), signal.SIGUSR1)
assert os.read(read, 1) == bytes([signal.SIGUSR1])
signal.set_wakeup_fd(-1)

# A child may ignore what it likes, and has the defaults for what we handle.
child = subprocess.Popen(["bash", "-c", "trap '' TERM; echo up; sleep 60"], stdout=subprocess.PIPE)
child.stdout.readline()
child.terminate()
time.sleep(0.05)
assert child.poll() is None
child.kill()
assert child.wait(30) == -signal.SIGKILL
child = subprocess.Popen(["sleep", "60"])
child.send_signal(signal.SIGUSR1)
assert child.wait(30) == -signal.SIGUSR1
assert "User defined signal 1" in signal.strsignal(signal.SIGUSR1)
try:
    os.kill(2_000_000, signal.SIGTERM)
except ProcessLookupError:
    print("done")
