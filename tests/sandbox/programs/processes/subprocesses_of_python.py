"""Starts Python as a subprocess in every way that the module subprocess knows."""

import os
import signal
import subprocess
import sys
import tempfile

PYTHON = sys.executable

answer = subprocess.run(
    [PYTHON, "-c", "import sys; print(sys.stdin.read()[::-1]); print('oops', file=sys.stderr); sys.exit(3)"],
    input="stressed",
    capture_output=True,
    text=True,
    timeout=30,
)
assert (answer.stdout, answer.stderr, answer.returncode) == ("desserts\n", "oops\n", 3)
both = subprocess.check_output(
    [PYTHON, "-u", "-c", "import sys; print(1); print(2, file=sys.stderr); print(3)"],
    stderr=subprocess.STDOUT,
)
assert both == b"1\n2\n3\n"
try:
    subprocess.run([PYTHON, "-c", "raise SystemExit(9)"], check=True)
except subprocess.CalledProcessError as error:
    assert error.returncode == 9

environment = {**os.environ, "GREETING": "grüß dich"}
with tempfile.TemporaryDirectory() as directory:
    told = subprocess.check_output(
        [PYTHON, "-c", "import os; print(os.environ['GREETING'], os.getcwd(), sep='|')"],
        env=environment,
        cwd=directory,
        text=True,
    )
    assert told.strip() == f"grüß dich|{os.path.realpath(directory)}"

try:
    subprocess.run([PYTHON, "-c", "import time; print('begun', flush=True); time.sleep(60)"], timeout=0.5)
except subprocess.TimeoutExpired as error:
    assert error.cmd[0] == PYTHON
else:
    raise AssertionError("no time-out")

child = subprocess.Popen([PYTHON, "-c", "import time; time.sleep(60)"])
assert child.poll() is None
child.terminate()
assert child.wait(30) == -signal.SIGTERM
child = subprocess.Popen(["sleep", "60"], start_new_session=True)
assert os.getsid(child.pid) == child.pid
child.kill()
assert child.wait(30) == -signal.SIGKILL

first = subprocess.Popen([PYTHON, "-c", "for n in range(1000): print(n)"], stdout=subprocess.PIPE)
second = subprocess.Popen(
    [PYTHON, "-c", "import sys; print(sum(map(int, sys.stdin)))"], stdin=first.stdout, stdout=subprocess.PIPE
)
first.stdout.close()
assert second.communicate(timeout=30)[0] == b"499500\n"
assert first.wait(30) == 0

read, write = os.pipe()
subprocess.run(
    [PYTHON, "-c", f"import os; os.write({write}, b'by descriptor')"], pass_fds=[write], check=True
)
assert os.read(read, 100) == b"by descriptor"
big = subprocess.run([PYTHON, "-c", "print('x' * 3_000_000)"], stdout=subprocess.PIPE)
assert len(big.stdout) == 3_000_001
with open("written.txt", "w+") as file:
    subprocess.run([PYTHON, "-c", "print('to a file')"], stdout=file, check=True)
    file.seek(0)
    assert file.read() == "to a file\n"
try:
    subprocess.run(["no-such-program"])
except FileNotFoundError:
    assert subprocess.getoutput("echo shell") == "shell"
    print("done")
