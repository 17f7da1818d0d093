"""Makes named pipes and has processes meet at them."""

import os
import stat
import subprocess

os.mkfifo("pipe", 0o600)
assert stat.S_ISFIFO(os.stat("pipe").st_mode)
pid = os.fork()
if pid == 0:
    with open("pipe", "w") as pipe:
        pipe.write("through a name")
    os._exit(0)
with open("pipe") as pipe:
    assert pipe.read() == "through a name"
assert os.waitpid(pid, 0)[1] == 0
script = "mkfifo other && { sort <other & printf 'b\\na\\n' >other; wait; }"
assert subprocess.check_output(["bash", "-c", script], text=True) == "a\nb\n"
os.unlink("pipe")
print("done")
