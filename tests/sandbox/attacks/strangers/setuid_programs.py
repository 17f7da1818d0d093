"""Asks the machine's setuid programs for root, and makes some of its own.

Stopped by: no_new_privs, private root
"""

import glob
import os
import shutil
import stat
import subprocess
import sys
import tempfile


def output(*command):
    try:
        done = subprocess.run(command, input=b"\n\n", capture_output=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return ""
    return (done.stdout + done.stderr).decode(errors="replace")


place = tempfile.mkdtemp()
asked = [("su", "-c", "id"), ("sudo", "-n", "id"), ("pkexec", "id"), ("newgrp", "root", "-c", "id")]
asked += [
    ("mount", "-t", "tmpfs", "none", place),
    ("newuidmap", "2", "0", "0", "1"),
    ("chsh", "-s", "/bin/sh", "root"),
]
for command in asked:
    if "uid=0(" in output(*command):
        print("ESCAPED:", command)
if os.path.ismount(place):
    print("ESCAPED: a setuid mount")
    output("umount", place)
own = shutil.copy(os.path.realpath(sys.executable), f"{tempfile.gettempdir()}/own")
os.chmod(own, 0o6755)
code = "import os; print(os.geteuid(), os.getegid())"
if output(own, "-I", "-S", "-c", code).split()[:1] == ["0"]:
    print("ESCAPED: a setuid program of its own")
for program in glob.glob("/usr/*bin/*"):
    if os.stat(program, follow_symlinks=False).st_mode & (stat.S_ISUID | stat.S_ISGID):
        # With an argument that it does not want: some would go on in the background.
        child = subprocess.Popen([program, "--help"], stdin=subprocess.DEVNULL, stdout=-3, stderr=-3)
        try:
            with open(f"/proc/{child.pid}/status") as file:
                if any(line.startswith(("Uid:", "Gid:")) and "0" in line.split()[1:] for line in file):
                    print("ESCAPED:", program)
        except OSError:
            pass
        child.kill()
        child.wait()
print("tried")
