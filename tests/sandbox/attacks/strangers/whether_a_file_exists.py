"""Learns that files of the machine exist, without reading them: lists of users, log-ins and packages, and the bait's.

Stopped by: private root
Not at: reduced - that a file exists can be learned by asking for its path
"""

import contextlib
import json
import os

bait = json.loads(os.environ["BAIT"])
ways = {
    "stat": os.stat,
    "access": lambda path: os.access(path, os.F_OK) or os.stat(path),
    "statvfs": os.statvfs,
    "open for its path": lambda path: os.close(os.open(path, os.O_PATH)),
}
for path in (
    "/etc/shadow", "/etc/passwd-", "/etc/subuid", "/etc/sudoers", "/etc/login.defs", "/etc/machine-id",
    "/var/run/utmp", "/var/log/wtmp", "/var/log/lastlog", "/var/log/auth.log", "/var/log/dpkg.log",
    "/var/lib/systemd/linger", "/run/systemd/users", "/run/systemd/userdb", "/var/spool/cron", "/var/mail",
    "/var/lib/dpkg/status", "/root/.bashrc", "/root/.ssh", "/home/debian", "/home/ubuntu",
    bait["secret_file"], bait["open_file"], bait["open_directory"], bait["socket"],
):  # fmt: skip
    for name, ask in ways.items():
        with contextlib.suppress(OSError):
            ask(path)
            print("ESCAPED: there is", path, "by", name)
# Where a link leads: to what, and that it is one.
for path in ("/etc/mtab", "/etc/resolv.conf", "/var/run", "/var/lock", "/initrd.img", "/vmlinuz"):
    with contextlib.suppress(OSError):
        print("ESCAPED:", path, "leads to", os.readlink(path))
print("tried")
