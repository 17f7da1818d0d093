"""Where things are inside a box."""

from __future__ import annotations

FILES = "/files"
WORK = "/files/work"
OUTPUT = "/files/output"
BOX = "/opt/belljar/box"
INSIDE = "/opt/belljar/inside.zip"
RUNTIME = "/opt/belljar/runtime"
GUEST_ID = 1000
"""The guest's uid and gid, as it sees them itself."""
