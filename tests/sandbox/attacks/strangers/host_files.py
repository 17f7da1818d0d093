"""Opens files of the machine by every path that might lead to them.

Stopped by: private root, Landlock
"""

import itertools
import json
import os
from pathlib import Path

TARGETS = (
    "etc/shadow",
    "etc/machine-id",
    "root/.bashrc",
    "root/.ssh/id_rsa",
    "home",
    "var/lib/dpkg/status",
    "sys/class",
    json.loads(os.environ["BAIT"])["secret_file"].lstrip("/"),
)
PREFIXES = (
    "/",
    "/../",
    "/proc/self/root/",
    "/proc/self/cwd/../../",
    "/proc/1/root/",
    "/proc/1/cwd/../../",
    "/files/../",
)
PREFIXES += (
    *("../" * depth for depth in range(1, 12)),
    "/proc/self/fd/0/../",
    "/proc/self/task/2/root/",
)
for prefix, target in itertools.product(PREFIXES, TARGETS):
    path = prefix + target
    try:
        seen = os.listdir(path) if os.path.isdir(path) else Path(path).read_bytes()[:20]
    except OSError:
        continue
    print("ESCAPED: read", path, seen)
print("tried")
