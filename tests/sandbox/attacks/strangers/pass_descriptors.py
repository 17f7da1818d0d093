"""One session hands the other an open directory of its own, over a socket with a name in a directory.

Stopped by: mount namespace, private root
Sessions: 2
"""

import contextlib
import json
import os
import socket
import time

NAME = "belljar-rendezvous.socket"
bait = json.loads(os.environ["BAIT"])
places = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock", bait["open_directory"]]
deadline = time.monotonic() + 5
if os.environ["ROLE"] == "one":
    directory = os.open(os.environ["INPUT_DIR"], os.O_RDONLY)
    listening = []
    for place in places:
        with contextlib.suppress(OSError):
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(f"{place}/{NAME}")
            sock.listen()
            sock.settimeout(0.05)
            listening.append(sock)
    while listening and time.monotonic() < deadline:
        for sock in listening:
            with contextlib.suppress(OSError):
                connection, _ = sock.accept()
                socket.send_fds(connection, [b"x"], [directory])
                print("ESCAPED: gave a descriptor to another session")
                deadline = 0
    for place in places:
        with contextlib.suppress(OSError):
            os.unlink(f"{place}/{NAME}")
else:
    while time.monotonic() < deadline:
        for place in places:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(1)
                sock.connect(f"{place}/{NAME}")
                _, fds, _, _ = socket.recv_fds(sock, 1, 4)
                if fds:
                    print("ESCAPED: another session's directory", os.listdir(fds[0]))
                    deadline = 0
        time.sleep(0.02)
print("tried")
