"""Two sessions meet at a named pipe, in each directory that they both might be able to write to.

Stopped by: mount namespace, private root
Sessions: 2
"""

import contextlib
import json
import os
import time

NAME = "belljar-rendezvous.pipe"
bait = json.loads(os.environ["BAIT"])
places = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock", "/dev/mqueue", "/usr/lib", "/opt", "/files"]
places += [os.environ["INPUT_DIR"], os.path.dirname(os.environ["INPUT_DIR"]), bait["open_directory"]]
role = os.environ["ROLE"]
deadline = time.monotonic() + 5
held = {}
is_over = False
while not is_over and time.monotonic() < deadline:
    for place in places:
        path = f"{place}/{NAME}"
        if role == "one" and path not in held:
            with contextlib.suppress(OSError):
                os.mkfifo(path, 0o666)
                held[path] = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        elif role == "one":
            with contextlib.suppress(BlockingIOError):
                if said := os.read(held[path], 100):
                    print("ESCAPED: another session said", said, "at", path)
                    is_over = True
        else:
            # Without a reader the pipe does not open; of two sessions only the first one reads.
            with contextlib.suppress(OSError):
                fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                os.write(fd, b"here I am")
                held[path] = fd
                print("ESCAPED: another session listens at", path)
                is_over = True
    time.sleep(0.02)
if role == "one":
    for path in held:
        with contextlib.suppress(OSError):
            os.unlink(path)
print("tried")
