"""Finds out who has an account here, who is logged in and who was, from each list that a machine keeps of it.

Stopped by: private root, Landlock
"""

import contextlib
import grp
import os
import pwd
import sys

OURS = {"root", "user"}
for found in (
    {entry.pw_name for entry in pwd.getpwall()},
    {entry.gr_name for entry in grp.getgrall()},
):
    if found - OURS:
        print("ESCAPED: accounts", sorted(found - OURS)[:10])
for uid in (1, 2, 33, 1001, 65534):
    with contextlib.suppress(KeyError):
        print("ESCAPED: account", pwd.getpwuid(uid).pw_name)
for path in (
    "/etc/shadow", "/etc/passwd-", "/etc/subuid", "/etc/sudoers", "/etc/login.defs", "/etc/machine-id",
    "/var/run/utmp", "/var/log/wtmp", "/var/log/lastlog", "/var/log/auth.log", "/var/log/dpkg.log",
    "/var/lib/systemd/linger", "/run/systemd/users", "/run/systemd/userdb", "/var/spool/cron", "/var/mail",
):  # fmt: skip
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        print("ESCAPED: may read", path)
for directory in ("/home", "/root", "/var", "/run/user", "/srv", "/mnt", "/media"):
    with contextlib.suppress(OSError):
        # What is on the way to the interpreter is there for its sake, and holds nothing else.
        found = [
            name
            for name in os.listdir(directory)
            if not f"{sys.base_prefix}/".startswith(f"{directory}/{name}/")
        ]
        if found:
            print("ESCAPED: in", directory, found[:10])
print("tried")
