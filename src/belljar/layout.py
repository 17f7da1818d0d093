"""Where things are inside a box."""

from __future__ import annotations

FILES = "/files"
WORK = "/files/work"
OUTPUT = "/files/output"
INPUT = "/files/input/0a7f3c915be2d684"
"""A second name of the working directory. Hosted sessions have 16 digits there, in which nobody is to see anything."""
BOX = "/opt/belljar/box"
INSIDE = "/opt/belljar/inside.zip"
RUNTIME = "/opt/belljar/runtime"
PROGRAMS = "/opt/belljar/bin"
"""Of ours, for the code's commands."""
GUEST_ID = 1000
"""The guest's uid and gid, as it sees them itself."""
