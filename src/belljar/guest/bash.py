"""How a shell is started, for cells and for calls of the shell tool."""

from __future__ import annotations

COMMAND = ("/bin/bash", "--norc")
