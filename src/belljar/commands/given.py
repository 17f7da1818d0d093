"""Options that several commands have, and the settings by them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from belljar.settings import Settings

LEVELS = ["full", "limited", "reduced"]
SERVER_STATE = click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where all that the server keeps lies [default: as for `belljar serve`].",
)
UPSTREAM = click.option(
    "--upstream", help="The model: `anthropic:URL`, `openai:URL`, `direct` (none) or `scripted:FILE`."
)
MODELS = click.option(
    "--models",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A table of models, in place of one upstream.",
)
SEARCH = click.option(
    "--search", help="Who searches the web: `searxng:URL`, `brave`, `tavily` or `upstream`."
)
PROFILE = click.option(
    "--profile", type=click.Choice(["auto", "anthropic", "inline"]), help="The shape of results."
)
REQUIRE = click.option(
    "--require", type=click.Choice(LEVELS), help="Do not start below this isolation level."
)


class Number(click.FloatRange):
    name = "number"


class Whole(click.IntRange):
    name = "whole number"


TIMEOUT = Number(0, 3600, min_open=True)
"""Seconds of a run."""
MEMORY = Whole(64, 1024 * 1024)
"""MiB of a session."""
FORCE = click.option("--force", is_flag=True, help="Write over a file that is there.")


def settings_of(**options: Any) -> Settings:
    """The environment's settings, overridden by the options that were given."""
    from belljar.settings import Settings

    return Settings(**{name: value for name, value in options.items() if value is not None})


def warn_of_unknown_settings() -> None:
    from belljar.commands.printing import say  # its imports are not for `run` to pay
    from belljar.settings import unknown

    for words in unknown(os.environ):
        say(words)
