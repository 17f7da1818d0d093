"""`belljar down`: the end of the server in the background."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import click

from belljar.commands import Failure, background
from belljar.commands.given import SERVER_STATE, settings_of
from belljar.commands.printing import AS_JSON, console, is_terminal, print_json, say


@click.command()
@SERVER_STATE
@AS_JSON
def down(state_dir: Path | None, as_json: bool) -> None:
    """End the server that `belljar up` has started, and wait for that.

    Requests and runs under way have five seconds; containers are put away, and come back with their files.
    """
    server = background.find(settings_of(state_dir=state_dir).state_dir)
    if server is not None and server.facts is not None and server.facts["by"] != "up":
        raise Failure(
            f"The server that is up was started by `belljar {server.facts['by']}` (pid {server.pid}): end it there."
        )
    if server is not None:
        with ExitStack() as stack:
            if is_terminal(sys.stderr):
                stack.enter_context(console(sys.stderr).status("ending the server"))
            background.end(server)
    if as_json:
        print_json({"was_up": server is not None, "pid": server.pid if server is not None else None})
    elif server is None:
        say("no server is up")
    else:
        say(f"the server (pid {server.pid}) has ended")
