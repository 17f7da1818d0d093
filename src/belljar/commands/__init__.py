"""The commands, a module each. What one needs is imported when it is called: `belljar --help` needs none of them."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from belljar import __version__, exits
from belljar.errors import BelljarError

_COMMANDS = {
    "run": "Run a Python program in the jail.",
    "chat": "Talk to a model that can run code.",
    "serve": "Serve the Messages API with code execution.",
    "up": "Keep a server warm in the background.",
    "down": "End the server in the background.",
    "status": "Say how the server is.",
    "containers": "List, show and delete containers of a server.",
    "files": "List, put, get and delete files of a server.",
    "mcp": "Serve MCP on standard input and output.",
    "batch": "Run many programs.",
    "chart": "Draw a chart of an earlier run again.",
    "runtime": "Make, list, check and remove runtimes.",
    "keys": "Make, list and revoke API keys.",
    "models": "List models, and try what works with them.",
    "usage": "Print what requests have used.",
    "setup": "Make this machine ready to run code.",
    "doctor": "Try the jail on this machine.",
    "completion": "Print what completes commands in a shell.",
}
"""In the order in which help names them. Each lies in the module of its name, as an object of its name."""
COMPLETE = "_BELLJAR_COMPLETE"
"""By which a shell asks how a line can be completed."""


class Failure(Exception):
    """What ends a command, said in one sentence, with its exit code."""

    def __init__(self, message: str, code: int = exits.ENGINE_ERROR) -> None:
        super().__init__(message)
        self.code = code


class Commands(click.Group):
    """Imports a command when it is called, and says in one sentence what went wrong outside of the user's program."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def main(self, *args: Any, **extra: Any) -> Any:
        if COMPLETE in os.environ:
            importlib.import_module(f"{__name__}.completion")  # how each shell wants it
        sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - one that was closed, until the end
        return super().main(*args, **extra)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Without an import of each of them."""
        found = [
            CompletionItem(name, help=words)
            for name, words in _COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            _misused(error)
        except OSError as error:
            _not_done(error)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # at the interpreter's end it would be too late for a word
        except click.UsageError as error:
            _misused(error)
        except Failure as error:
            _fail(str(error), error.code)
        except BelljarError as error:
            _fail(str(error))
        except OSError as error:
            _not_done(error)
        except KeyboardInterrupt:
            _fail("interrupted", exits.INTERRUPTED)
        except ValueError as error:
            if (message := _settings_message(error)) is None:
                raise
            _fail(message)


def _not_done(error: OSError) -> NoReturn:
    if isinstance(error, BrokenPipeError):
        os._exit(exits.BROKEN_PIPE)  # nobody reads on, and a flush at exit would only say so again
    with contextlib.suppress(OSError):
        sys.stdout.close()  # what it still holds has no room at exit either, and the exit code would be another
    _fail(f"{error.filename or 'output'}: {error.strerror or error}")


def _misused(error: click.UsageError) -> NoReturn:
    """With our exit code: click's own 2 could be the program's."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        sys.exit(exits.ENGINE_ERROR)
    message = re.sub(r"\s*\n\s*", " ", error.format_message())
    if isinstance(error, click.exceptions.NoSuchCommand | click.NoSuchOption) and not error.possibilities:
        assert error.ctx is not None
        message += f" `{error.ctx.command_path} --help` has those that there are."
    if isinstance(error, click.NoSuchOption) and error.ctx is not None and error.ctx.command.name == "run":
        message += " What is for the program comes after `--`."
    _fail(message)


def _fail(message: str, code: int = exits.ENGINE_ERROR) -> NoReturn:
    from belljar.commands.printing import say

    say(message)
    sys.exit(code)


def _settings_message(error: ValueError) -> str | None:
    """What is wrong with the settings; None for another error."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    if isinstance(error, SettingsError):
        return str(error)
    if not isinstance(error, ValidationError):
        return None
    return "; ".join(
        f"BELLJAR_{'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"
        for problem in error.errors()
    )


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """A self-hosted code execution tool for language models."""
