"""Finds out which files the machine has, how large they are and whose, by asking for their paths.

Stopped by: private root
Not at: reduced - that a file exists can be learned by asking for its path, and its size and owner
"""

import contextlib
import json
import os

for path in (
    "/etc/shadow", "/etc/passwd-", "/etc/subuid", "/etc/sudoers", "/etc/login.defs", "/etc/machine-id",
    "/var/run/utmp", "/var/log/wtmp", "/var/log/lastlog", "/var/log/auth.log", "/var/log/dpkg.log",
    "/var/lib/systemd/linger", "/run/systemd/users", "/run/systemd/userdb", "/var/spool/cron", "/var/mail",
    json.loads(os.environ["BAIT"])["secret_file"],
):  # fmt: skip
    with contextlib.suppress(OSError):
        status = os.stat(path)
        print("ESCAPED: there is", path, status.st_size, status.st_uid)
print("tried")
