"""The zip's entry: `outer FD` enters the outer box, `zygote FD` is the fork server, `pip …` a command of the code's."""

from __future__ import annotations

import socket
import sys

from belljar.zygote import forkserver, outer


def main() -> None:
    """Dispatch on the first argument."""
    if sys.argv[1] == "outer":
        outer.main(socket.socket(fileno=int(sys.argv[2])))
    elif sys.argv[1] == "pip":
        from belljar.guest.magics import packages

        packages.main(sys.argv[2:])
    else:
        forkserver.start(int(sys.argv[2]))
