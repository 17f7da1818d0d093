"""Looks for another session's working directory beside its own, above it, in /tmp and below every process.

Stopped by: mount namespace, pid namespace
Sessions: 2
"""

import contextlib
import os
import time
from pathlib import Path

MARK = "belongs-to-session-"
role = os.environ["ROLE"]
own = [Path(os.environ["INPUT_DIR"]), Path(os.environ["OUTPUT_DIR"])]
for directory in own:
    with contextlib.suppress(OSError):
        (directory / f"{MARK}{role}").write_text("mine")


def places():
    for directory in own:
        yield from (directory / ".." / name for name in names(directory.parent))
        yield from (directory / "../.." / name for name in names(directory.parent.parent))
        for above in names(directory.parent.parent):
            yield from (directory / "../.." / above / name for name in names(directory.parent.parent / above))
    for pid in filter(str.isdigit, names("/proc")):
        yield Path(f"/proc/{pid}/cwd")
        yield from (Path(f"/proc/{pid}/root/files/{name}") for name in ("work", "output"))


def names(directory):
    try:
        return os.listdir(directory)[:1000]
    except OSError:
        return []


deadline = time.monotonic() + 4
is_found = False
while not is_found and time.monotonic() < deadline:
    for place in places():
        found = {name for name in names(place) if name.startswith(MARK) and name != MARK + role}
        if found:
            print("ESCAPED:", found, "in", place)
            is_found = True
            break
    time.sleep(0.1)
print("tried")
