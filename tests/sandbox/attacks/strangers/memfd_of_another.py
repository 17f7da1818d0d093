"""One session keeps words in memory without a name; the other looks for them among all processes' descriptors.

Stopped by: pid namespace
Sessions: 2
"""

import contextlib
import glob
import os
import tempfile
import time

WORDS = b"-".join([b"kept", b"in", b"memory"])
deadline = time.monotonic() + 5
if os.environ["ROLE"] == "one":
    try:
        held = open(os.memfd_create("belljar"), "w+b")  # noqa: SIM115 - open until the end
    except OSError:
        held = tempfile.TemporaryFile()  # noqa: SIM115 - open until the end
    held.write(WORDS)
    held.flush()
    while time.monotonic() < deadline and held.tell() == len(WORDS):
        time.sleep(0.05)
        # Who finds the file empties it, so that we know.
        if not os.fstat(held.fileno()).st_size:
            print("ESCAPED: another session has found it")
            break
else:
    own = str(os.getpid())
    while time.monotonic() < deadline:
        for path in glob.glob("/proc/[0-9]*/fd/*"):
            if path.split("/")[2] == own:
                continue
            with contextlib.suppress(OSError):
                target = os.readlink(path)
                if "(deleted)" not in target:
                    continue
                with open(path, "r+b") as file:
                    if file.read(100) == WORDS:
                        file.truncate(0)
                        print("ESCAPED: opened", target, "of another session")
                        deadline = 0
        time.sleep(0.05)
print("tried")
