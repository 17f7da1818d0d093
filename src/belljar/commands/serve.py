"""`belljar serve`: the server, until it is told to end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import click

from belljar import inherited
from belljar.commands.given import MODELS, PROFILE, REQUIRE, SEARCH, UPSTREAM, Whole, settings_of
from belljar.commands.printing import AS_JSON, print_json
from belljar.process import KeeperProcess

if TYPE_CHECKING:
    from belljar.gateway.upstream import nearby
    from belljar.settings import Settings


@click.command()
@click.option("--host", help="Address to listen on [default: 127.0.0.1].")
@click.option("--port", type=Whole(0, 65535), help="Port to listen on, 0 for a free one [default: 8421].")
@UPSTREAM
@MODELS
@SEARCH
@PROFILE
@click.option(
    "--state-dir", type=click.Path(file_okay=False, path_type=Path), help="Where all that is kept lies."
)
@REQUIRE
@AS_JSON
def serve(as_json: bool, **options: Any) -> None:
    """Serve the Messages API with code execution until SIGTERM, SIGINT or the terminal's end.

    Every option is also a setting in the environment, BELLJAR_HOST and so on.
    """
    settings = settings_of(**options)
    inherited.leave_behind()
    with KeeperProcess() as process:  # it imports what it needs while we do
        _serve(settings, process, as_json=as_json)


def _serve(settings: Settings, process: KeeperProcess, *, as_json: bool) -> None:
    import structlog

    from belljar import link
    from belljar.gateway import log
    from belljar.gateway.serve import serve as serve_gateway  # its imports are not for `run` to pay
    from belljar.gateway.upstream import nearby
    from belljar.settings import unknown

    log.to_stderr(settings.log_level, with_content=settings.log_content)
    for words in unknown(os.environ):
        structlog.get_logger("belljar.gateway").warning(words)
    has_model = settings.models is not None or settings.upstream != "direct"
    offers: list[nearby.Place] = []

    async def look_and_serve() -> None:
        if not has_model:
            offers.extend(await nearby.find())
        await serve_gateway(settings, on_ready=ready, keeper_start=link.starting_with(process))

    def ready(url: str, asks_for_keys: bool) -> None:
        if as_json:
            found = [{"name": place.name, "url": place.url} for place in offers]
            has_search = bool(settings.search)
            told = {
                "url": url,
                "asks_for_keys": asks_for_keys,
                "has_model": has_model,
                "has_search": has_search,
            }
            print_json(told | {"models_here": found}, is_line=True)
            return
        click.echo(f"Belljar listens on {url}")
        if not asks_for_keys:
            click.echo("There are no API keys: whoever reaches it may run code (belljar keys create).")
        if not has_model:
            click.echo("No model is connected: fenced Python in a message is run as it stands (--upstream).")
        if not settings.search:
            click.echo("Web searches are `unavailable`: there is no search engine (--search).")
        for place in offers:
            click.echo(f"{place.name} runs on this machine; to use it: --upstream openai:{place.url}")

    anyio.run(look_and_serve)
