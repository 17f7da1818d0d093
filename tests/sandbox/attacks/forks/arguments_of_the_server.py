"""Reads the command line of the server, and whatever the files say that it names.

Stopped by: fork state, private root
"""

import contextlib
import os
import sys

OURS = (sys.prefix, sys.base_prefix, "/usr/", "/lib", "/opt/belljar/")
arguments = [argument for argument in [*sys.argv, *sys.orig_argv[1:]] if argument]
with contextlib.suppress(OSError), open("/proc/self/cmdline", "rb") as file:
    arguments += os.fsdecode(file.read()).split("\0")
main = sys.modules["__main__"]
arguments += [str(getattr(main, name, None) or "") for name in ("__file__", "__spec__")]
for argument in arguments:
    if not os.path.isabs(argument) or argument.startswith(OURS):
        continue
    print("ESCAPED: the server was given", argument)
    with contextlib.suppress(OSError), open(argument, "rb") as file:
        print("it says", file.read(4000))
print("tried")
