"""`belljar mcp`: the tools for clients of the Model Context Protocol that start their servers as commands."""

from __future__ import annotations

import sys

import anyio
import click

from belljar.commands.completion import RUNTIME
from belljar.commands.given import MEMORY, TIMEOUT, settings_of
from belljar.records import MIB


@click.command()
@click.option("--url", metavar="URL", help="Run code on this Belljar server, in place of a jail of its own.")
@click.option(
    "--api-key",
    envvar="BELLJAR_API_KEY",
    metavar="KEY",
    help="The server's key; better as BELLJAR_API_KEY in the environment.",
)
@click.option(
    "--runtime",
    metavar="NAME",
    type=RUNTIME,
    help="What code runs in: one that `belljar runtime create` has made.",
)
@click.option(
    "--timeout",
    type=TIMEOUT,
    metavar="S",
    help="Seconds until a run is stopped.",
)
@click.option(
    "--memory",
    type=MEMORY,
    metavar="MIB",
    help="Memory for the session.",
)
def mcp(
    url: str | None, api_key: str | None, runtime: str | None, timeout: float | None, memory: int | None
) -> None:
    """Serve MCP on standard input and output, until that ends: for Claude Desktop, editors and other clients.

    Code runs in a jail of its own, which ends with the command, or with --url on a server.
    """
    if url is not None:
        from belljar.client.bridge import serve as serve_bridge

        if timeout is not None or memory is not None:
            raise click.UsageError("--timeout and --memory are the server's own where --url names one")
        sys.exit(anyio.run(serve_bridge, url, api_key, runtime))
    from belljar.client.mcp import serve

    settings = settings_of(timeout_seconds=timeout, memory_bytes=memory * MIB if memory is not None else None)
    sys.exit(anyio.run(serve, settings, runtime or settings.default_runtime))
