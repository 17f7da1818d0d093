"""A keeper's process. It may be begun before its owner knows what to ask of it: each has its imports to do, and they do
them side by side."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from types import TracebackType

STOP_SECONDS = 15
"""For a keeper to end its sessions and itself."""


class KeeperProcess:
    """It does nothing before it is configured. The block's end ends one that `link.start` was not given."""

    is_configured = False

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        """Ours, whose end is the order to end."""
        with theirs:
            # Its own process group: a terminal's Ctrl-C is for us to answer, and ours to pass on or not.
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "belljar.keeper", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # ours may be a protocol's
                pass_fds=[theirs.fileno()],
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                process_group=0,
            )

    def configure(self, frame: bytes) -> None:
        """Have it begin to be what `link.configuration` says."""
        with contextlib.suppress(BrokenPipeError):  # it has ended, as whoever waits for its answer hears
            self.socket.sendall(frame)  # which the kernel holds until it is read
        self.is_configured = True

    def __enter__(self) -> KeeperProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()
        if self.process.returncode is not None:
            return
        try:
            # Configured, it may have made what only it can clear away.
            self.process.wait(STOP_SECONDS if self.is_configured else 0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
