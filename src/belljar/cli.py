"""The `belljar` command, from its first line on: what is imported here is paid for by every call."""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name; it ends the process."""
    import sys

    from belljar import quick

    quick.run(sys.argv[1:])
    from belljar.commands import main as commands

    commands()
