"""The exit codes of the command. Those of `belljar run` are the program's own, as long as it has one."""

from __future__ import annotations

DONE = 0
FOUND = 1
"""Something that was looked at is not as it should be, or code that was run has failed."""
NO_SERVER = 3
"""There is no server to ask, or no model."""
NOT_THERE = 4
"""What was named is not there: a container, a file."""
ENGINE_ERROR = 125
"""What was asked for could not be done, or not as asked: as `docker run` has it, and as no limit or signal has it."""
INTERRUPTED = 130
TERMINATED = 143
BROKEN_PIPE = 141
"""128 and the number of SIGPIPE: whoever read the output has gone."""
