"""The `belljar` command, from its first line on: what is imported here is paid for by every call."""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name; it ends the process."""
    import sys

    from belljar import quick

    quick.hold_standard_streams()
    if quick.run(sys.argv[1:]):
        from belljar.process import KeeperProcess

        with KeeperProcess() as process:  # it imports what it needs while the command does
            _whole(process)
    _whole()


def _whole(process: object = None) -> None:
    from belljar.commands import main as commands

    commands(obj=process)
