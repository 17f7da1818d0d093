"""Leaves links through /proc, which mean something else for each process that follows them.

Stopped by: collector, private root
"""

import json
import os

work = os.environ["INPUT_DIR"]
secret = json.loads(os.environ["BAIT"])["secret_file"]
for number, process in enumerate(("self", "thread-self", "1", "self/task/../../self")):
    os.symlink(f"/proc/{process}/root{secret}", f"{work}/{number}-root.txt")
    os.symlink(f"/proc/{process}/cwd/{'../' * 12}{secret.lstrip('/')}", f"{work}/{number}-cwd.txt")
    os.symlink(f"/proc/{process}/environ", f"{work}/{number}-environ.txt")
    os.symlink(f"/proc/{process}/root{os.path.dirname(secret)}", f"{work}/{number}-directory")
print("tried")
