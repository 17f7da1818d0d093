"""Opens what the settings name: one upstream, or those of a table of models."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2

from belljar.errors import InvalidRequest
from belljar.gateway.upstream import Upstream, scripted
from belljar.gateway.upstream.anthropic import open_anthropic
from belljar.gateway.upstream.direct import DirectUpstream
from belljar.gateway.upstream.openai import open_openai
from belljar.gateway.upstream.retrying import RetryingUpstream
from belljar.gateway.upstream.router import Route, Router, Target
from belljar.gateway.upstream.server import Address
from belljar.gateway.upstream.table import CALLER, UpstreamEntry, key_of, load
from belljar.settings import Settings

_SERVERS: dict[str, Callable[[Address], AbstractAsyncContextManager[Upstream]]] = {
    "anthropic": open_anthropic,
    "openai": open_openai,
}
_KEY_VARIABLES = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}


@asynccontextmanager
async def open_upstream(settings: Settings) -> AsyncIterator[Upstream]:
    """The model servers that the settings name. Raises InvalidRequest for what they cannot be."""
    if settings.models is not None:
        async with _open_table(settings.models, settings) as router:
            yield router
        return
    kind, _, rest = settings.upstream.partition(":")
    if kind in _SERVERS and rest.startswith(("http://", "https://")):
        key = settings.upstream_api_key or os.environ.get(_KEY_VARIABLES[kind]) or None
        address = Address(
            rest,
            key,
            passes_key_on=True,
            timeout_seconds=settings.upstream_timeout_seconds,
            cites=_cites(rest, settings),
        )
        async with _SERVERS[kind](address) as upstream:
            yield RetryingUpstream(upstream, settings.upstream_retries)
    elif kind == "scripted" and rest:
        yield scripted.ScriptedUpstream(scripted.load(Path(rest)))
    elif settings.upstream == "direct":
        yield DirectUpstream()
    else:
        raise InvalidRequest(
            f"upstream: {settings.upstream!r} is none of `anthropic:URL` and `openai:URL` (with http:// or https://), "
            "`direct` and `scripted:FILE`"
        )


@asynccontextmanager
async def _open_table(path: Path, settings: Settings) -> AsyncIterator[Router]:
    table = load(path)
    async with AsyncExitStack() as stack:
        targets: dict[str, Target] = {}
        for entry in table.upstream:
            targets[entry.name] = Target(entry, await _open(entry, settings, stack))
        yield Router(
            [
                Route(
                    model,
                    targets[model.upstream],
                    targets.get(targets[model.upstream].entry.fallback or ""),
                )
                for model in table.model
            ]
        )


async def _open(entry: UpstreamEntry, settings: Settings, stack: AsyncExitStack) -> Upstream:
    if entry.script is not None:
        return scripted.ScriptedUpstream(scripted.load(entry.script))
    assert entry.url is not None
    address = Address(
        entry.url,
        key_of(entry),
        # Not unasked: with several upstreams, the key for one would be shown to the others.
        passes_key_on=entry.key == CALLER,
        timeout_seconds=entry.timeout_seconds or settings.upstream_timeout_seconds,
        cites=_cites(entry.url, settings),
    )
    upstream = await stack.enter_async_context(_SERVERS[entry.kind](address))
    return RetryingUpstream(upstream, settings.upstream_retries)


def _cites(url: str, settings: Settings) -> bool:
    """Local servers of the Messages API refuse `search_result` blocks, or read nothing in them."""
    if settings.search_citations != "auto":
        return settings.search_citations == "on"
    return f".{httpx2.URL(url).host}".endswith(".anthropic.com")
