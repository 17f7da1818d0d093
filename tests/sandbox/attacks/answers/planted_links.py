"""Leaves links, names and swapped directories for the trusted side to stumble over after the run.

Stopped by: collector, private root
"""

import contextlib
import json
import os

work = os.environ["INPUT_DIR"]
os.chdir(work)
secret = json.loads(os.environ["BAIT"])["secret_file"]
os.symlink(secret, "figure.png")
os.symlink("/etc/shadow", "report.csv")
os.symlink("/proc/1/environ", "chart.png")
os.symlink("/proc/self/root", "folder")
os.symlink("../../../../../../root", "up")
os.mkdir("sub")
os.symlink("/etc", "sub/etc")
for name in (
    b"..\\..\\x",
    b"a\nb",
    b"\xff\xfe",
    b"\x1b]0;owned\x07",
    b"-o",
    b"$(id)",
    b"`id`",
    b"%2e%2e%2f",
    b"x" * 255,
):
    with contextlib.suppress(OSError):
        os.close(os.open(os.fsencode(work) + b"/" + name, os.O_CREAT | os.O_WRONLY))
output = os.environ["OUTPUT_DIR"]
os.rmdir(output)
os.symlink(os.path.dirname(secret), output)
os.rename(work, f"{os.path.dirname(work)}/moved")
os.symlink("/usr/lib", work)
print("tried")
