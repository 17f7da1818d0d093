"""Walks the magic links of /proc of every process number, its own included, up to a directory that is not the box's.

Stopped by: pid namespace, private root
"""

import json
import os

own = os.stat("/")
for pid in (*range(1, 400), os.getppid(), json.loads(os.environ["BAIT"])["pid"]):
    for name in ("root", "cwd", "exe", "fd/0", "fd/3", "fd/4", "fd/5", "ns/mnt", "ns/user", "ns/net"):
        path = f"/proc/{pid}/{name}"
        try:
            status = os.stat(path)
        except OSError:
            continue
        if name == "root" and (status.st_dev, status.st_ino) != (own.st_dev, own.st_ino):
            print("ESCAPED: another root by", path)
        if pid != os.getpid():
            print("ESCAPED: looked into", path)
print("tried")
