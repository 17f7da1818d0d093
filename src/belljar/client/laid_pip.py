"""In place of pip, in a runtime that has none: the jail has a program of that name, which says what is installed.

`lay_pip` lays this into the runtime, as the package and as what it does: for code that calls `python -m pip` or
`pip.main`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

MARK = "# The jail's own."
"""In its program, by which it is known from the machine's pip."""


def main(args: list[str] | None = None) -> int:
    """The same as pip's own: with `args`, or those of the command line. Returns the exit code."""
    program = shutil.which("pip")
    if program is not None and os.path.isfile(program):
        with open(program, "rb") as file:
            if MARK.encode() in file.read(1000):
                sys.stdout.flush()
                return subprocess.call([program, *(sys.argv[1:] if args is None else args)])
    print(
        "ERROR: There is no pip in this environment: nothing can be installed from within.", file=sys.stderr
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
