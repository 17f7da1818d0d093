"""The `belljar` command, from its first line on: what is imported here is paid for by every call."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from belljar.process import KeeperProcess


def main() -> None:
    """Run the command that the arguments name; it ends the process."""
    import sys

    from belljar import quick

    quick.hold_standard_streams()
    try:
        if quick.run(sys.argv[1:]):
            with _begun() as process:  # it imports what it needs while the command does
                _whole(process)
        _whole()
    except KeyboardInterrupt:  # where no command was there yet to say so
        from belljar.exits import INTERRUPTED

        sys.stderr.write("belljar: interrupted\n")
        sys.exit(INTERRUPTED)


def _begun() -> AbstractContextManager[KeeperProcess | None]:
    from contextlib import nullcontext

    from belljar.process import KeeperProcess

    try:
        return KeeperProcess()
    except OSError:
        return nullcontext()  # the command tries it again, and says why it cannot


def _whole(process: KeeperProcess | None = None) -> None:
    from belljar.commands import main as commands

    commands(obj=process)
