"""Copies, moves, installs and edits files by the programs of every machine, with their modes and times.

Not at: reduced without own uid - modes and times stay as they are
"""

import os
import stat
import subprocess
import tempfile
from pathlib import Path

Path("source").write_text("text\n")
os.chmod("source", 0o751)
os.utime("source", (10**9, 10**9))


def run(*command):
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (answer.returncode, answer.stderr) == (0, ""), (command, answer)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


run("cp", "-p", "source", "kept")
assert mode("kept") == 0o751
assert os.stat("kept").st_mtime == 10**9
os.mkdir("tree")
os.rename("kept", "tree/kept")
run("cp", "-a", "tree", "copied")
assert mode("copied/kept") == 0o751
run("install", "-m", "640", "source", "installed")
assert mode("installed") == 0o640
elsewhere = os.path.join(tempfile.mkdtemp(), "moved")
run("mv", "copied/kept", elsewhere)  # another mount: copied, and then deleted
assert mode(elsewhere) == 0o751
run("sed", "-i", "s/text/words/", "source")
assert Path("source").read_text() == "words\n"
assert mode("source") == 0o751
run("tar", "-cpf", "t.tar", "source")
run("tar", "-xpf", "t.tar")
assert mode("source") == 0o751
run("gzip", "-k", "source")
assert mode("source.gz") == 0o751
print("done")
