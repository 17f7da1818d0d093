"""`belljar models`: which models there are, and what works with each."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio
import click

from belljar import link
from belljar.commands.given import UPSTREAM, Number, Whole, settings_of
from belljar.commands.printing import AS_JSON, print_json, print_table, say
from belljar.errors import only

if TYPE_CHECKING:
    from belljar.gateway.checks import Checked
    from belljar.gateway.upstream import Upstream
    from belljar.settings import Settings

_TABLE = click.option(
    "--models",
    "table",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A table of models [default: BELLJAR_MODELS].",
)


@click.group()
def models() -> None:
    """List the models that a server with these settings has, and try what works with them."""


@models.command("list")
@UPSTREAM
@_TABLE
@AS_JSON
def list_(upstream: str | None, table: Path | None, as_json: bool) -> None:
    """Print the models, each with its upstream."""
    from belljar.gateway import log
    from belljar.gateway.upstream.opening import open_upstream  # its imports are not for `run` to pay

    settings = settings_of(upstream=upstream, models=table)
    log.to_stderr("warning", with_content=settings.log_content)

    async def look() -> list[tuple[str, str]]:
        async with open_upstream(settings) as opened:
            return await _places(opened)

    found = anyio.run(look)
    if as_json:
        print_json([{"id": model, "upstream": place} for model, place in found])
        return
    print_table(("model", "upstream"), found)


@models.command(short_help="Try which models can use the code execution tool.")
@click.argument("names", metavar="[MODEL]...", nargs=-1)
@UPSTREAM
@_TABLE
@click.option(
    "--seconds",
    type=Number(1, 3600),
    metavar="S",
    default=60,
    show_default=True,
    help="For each of the two questions.",
)
@click.option(
    "--max-tokens",
    type=Whole(16, 100_000),
    metavar="N",
    default=1024,
    show_default=True,
    help="Of an answer with the tool; models that think first may need more.",
)
@AS_JSON
def check(
    names: tuple[str, ...],
    upstream: str | None,
    table: Path | None,
    seconds: float,
    max_tokens: int,
    as_json: bool,
) -> None:
    """Ask each MODEL (all that are listed, without one) two small questions, one for a run of code in a jail, and say
    what works, and what does not and why.

    Ends with exit code 1 where one cannot be used: it does not connect, takes no tools, does not call the tool, or does
    not use the result. Each costs a few requests at its upstream.
    """
    from belljar.gateway import log
    from belljar.gateway.app import open_parts
    from belljar.gateway.checks import MAX_TURNS, Bounds
    from belljar.gateway.checks import check as check_model

    done: list[Checked] = []

    async def try_all(settings: Settings) -> None:
        async with open_parts(settings, link.start) as parts:
            for name in names or [model for model, _ in await _places(parts.upstream)]:
                say(f"asking {name}")
                done.append(await check_model(parts, name, Bounds(seconds, max_tokens)))
                if not as_json:
                    _print_checked(done[-1])

    # A server that runs has its state directory to itself.
    with TemporaryDirectory(prefix="belljar-check-") as state:
        own: dict[str, Any] = {"state_dir": Path(state), "preload": {}, "parked": 0, "max_turns": MAX_TURNS}
        settings = settings_of(upstream=upstream, models=table, **own)
        log.to_stderr("warning", with_content=settings.log_content)
        try:
            anyio.run(try_all, settings)
        except BaseExceptionGroup as group:
            raise only(group) from None
    if as_json:
        print_json([asdict(one) | {"works": one.works} for one in done])
    if not done:
        say("the upstream lists no models; name one")
    sys.exit(0 if done and all(one.works for one in done) else 1)


def _print_checked(checked: Checked) -> None:
    words = {True: "yes", False: "no", None: "-"}
    click.echo(f"{checked.model}: {'works' if checked.works else 'cannot be used'}")
    for one in checked.findings:
        click.echo(f"  {one.name:<14} {words[one.works]:<4} {one.why}".rstrip())


async def _places(upstream: Upstream) -> list[tuple[str, str]]:
    """The models, each with the name of its upstream, or where there is but one, its kind."""
    from belljar.gateway.upstream import Caller
    from belljar.gateway.upstream.router import Router

    if isinstance(upstream, Router):
        return [(model["id"], place) for model, place in await upstream.places(Caller())]
    return [(model["id"], upstream.kind) for model in await upstream.models(Caller())]
