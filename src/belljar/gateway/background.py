"""The server that a command has started: `python -m belljar.gateway.background READY [--port] …`, settings in the
environment.

It says on the descriptor READY that it is there, `ready` and its URL in a line, or why it is not.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial

import anyio
from pydantic import ValidationError
from pydantic_settings import SettingsError

from belljar import inherited
from belljar.errors import BelljarError
from belljar.process import KeeperProcess
from belljar.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ready", type=int)
    parser.add_argument("--by", default="up", choices=["up", "chat"])
    parser.add_argument("--port", action="store_true")
    parser.add_argument("--idle-minutes", type=float)
    parser.add_argument("--ends-with-stdin", action="store_true")
    given = parser.parse_args()

    has_said = False

    def say(word: str) -> None:
        nonlocal has_said
        if has_said:
            print(word, file=sys.stderr)
            return
        has_said = True
        try:
            os.write(given.ready, word.encode("utf-8", "replace"))
            os.close(given.ready)
        except BrokenPipeError:
            sys.exit(1)  # who has started it has gone, and knows nothing of it

    try:
        settings = Settings()
        inherited.leave_behind()
        with KeeperProcess() as process:  # it imports what it needs while we do
            _serve(given, settings, process, say)
    except (BelljarError, OSError, ValidationError, SettingsError) as error:
        say(f"failed {error}")
        sys.exit(1)


def _serve(
    given: argparse.Namespace, settings: Settings, process: KeeperProcess, say: Callable[[str], None]
) -> None:
    from belljar import link
    from belljar.gateway import log
    from belljar.gateway.serve import Manner, serve

    log.to_stderr(settings.log_level, with_content=settings.log_content)
    manner = Manner(given.by, given.port, given.idle_minutes, given.ends_with_stdin)
    keeper_start = link.starting_with(process)
    anyio.run(
        partial(
            serve,
            settings,
            on_ready=lambda url, _: say(f"ready {url}"),
            keeper_start=keeper_start,
            manner=manner,
        )
    )


if __name__ == "__main__":
    main()
