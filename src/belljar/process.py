"""A keeper's process. It may be begun before its owner can tell what to ask of it: each has its imports to do, and they
do them side by side."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys


class KeeperProcess:
    """It does nothing before `link.start` takes it. The block's end ends one that was not taken. Raises OSError."""

    is_taken = False

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        """Ours, whose end is the order to end."""
        with theirs, contextlib.ExitStack() as undoing:
            undoing.enter_context(self.socket)
            # Its own process group: a terminal's Ctrl-C is for us to answer, and ours to pass on or not.
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "belljar.keeper", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # ours may be a protocol's
                pass_fds=[theirs.fileno()],
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                process_group=0,
            )
            undoing.pop_all()

    def __enter__(self) -> KeeperProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.is_taken:  # else it is for its taker to wait for, or not to
            self.socket.close()
            self.process.kill()
            self.process.wait()
