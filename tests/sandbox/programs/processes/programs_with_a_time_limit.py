"""Has programs ended by timeout(1), and their output made unbuffered by stdbuf(1), where these are installed."""

import shutil
import signal
import subprocess
import sys

program = [sys.executable, "-I", "-S", "-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"]
if shutil.which("timeout"):
    ended = subprocess.run(["timeout", "1", "sleep", "30"], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (124, ""), ended
    # What it waits for dies of a signal: it then wants to leave no core behind, and to say nothing of it.
    ended = subprocess.run(["timeout", "20", *program], capture_output=True, text=True)
    assert ended.stderr == "", ended
    assert ended.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM), ended
if shutil.which("stdbuf"):
    ended = subprocess.run(["stdbuf", "-oL", "echo", "line"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "line\n", ""), ended
print("done")
