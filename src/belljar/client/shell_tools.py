"""Programs that shell commands in the jail like to have, and the Debian packages that bring them.

The jail shows what the machine has in /usr/bin, and works without any of these.
"""

from __future__ import annotations

from collections.abc import Collection

PACKAGES = {
    "sqlite3": "sqlite3",
    "bc": "bc",
    "jq": "jq",
    "rg": "ripgrep",
    "zip": "zip",
    "unzip": "unzip",
}
"""By program."""

QUESTION = f"import shutil\nprint(*filter(shutil.which, {list(PACKAGES)!r}))"
"""Code that prints those that are there, as a session sees them."""


def described(there: Collection[str]) -> str:
    """One line: what is there, what is not, and the command that would bring it."""
    missing = [program for program in PACKAGES if program not in there]
    line = ", ".join(program for program in PACKAGES if program in there) or "none"
    if missing:
        line += f"; {', '.join(missing)} missing: {command(missing)}"
    return line


def command(missing: Collection[str]) -> str:
    """What installs them on Debian."""
    return f"sudo apt-get install -y {' '.join(PACKAGES[program] for program in missing)}"
