"""Opens what the settings name: one upstream, or those of a table of models."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from belljar.errors import InvalidRequest
from belljar.gateway.upstream import Upstream, scripted
from belljar.gateway.upstream.anthropic import open_anthropic
from belljar.gateway.upstream.direct import DirectUpstream
from belljar.gateway.upstream.fenced import FencedUpstream
from belljar.gateway.upstream.openai import open_openai
from belljar.gateway.upstream.retrying import RetryingUpstream
from belljar.gateway.upstream.router import Route, Router, Target
from belljar.gateway.upstream.server import Address
from belljar.gateway.upstream.table import CALLER, ModelEntry, UpstreamEntry, key_of, load
from belljar.settings import Settings

_SERVERS: dict[str, Callable[[Address, Settings], AbstractAsyncContextManager[Upstream]]] = {
    "anthropic": lambda address, settings: open_anthropic(address, settings.search_citations),
    "openai": lambda address, settings: open_openai(address),
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
        address = Address(rest, key, passes_key_on=True, timeout_seconds=settings.upstream_timeout_seconds)
        async with _SERVERS[kind](address, settings) as upstream:
            yield RetryingUpstream(upstream, settings.upstream_retries)
    elif kind == "scripted" and rest:
        yield scripted.ScriptedUpstream(scripted.load(Path(rest)))
    elif settings.upstream == "direct":
        yield DirectUpstream()
    else:
        raise InvalidRequest(
            # Not repeated: it may have a password in it.
            "upstream: it has to be `anthropic:URL` or `openai:URL` (with http:// or https://), `direct` or "
            "`scripted:FILE`"
        )


@asynccontextmanager
async def _open_table(path: Path, settings: Settings) -> AsyncIterator[Router]:
    table = load(path)
    async with AsyncExitStack() as stack:
        targets: dict[str, Target] = {}
        for entry in table.upstream:
            targets[entry.name] = Target(entry, await _open(entry, settings, stack))
        yield Router([_route(model, targets[model.upstream], targets) for model in table.model])


def _route(model: ModelEntry, target: Target, targets: Mapping[str, Target]) -> Route:
    fallback = targets.get(target.entry.fallback or "")
    if model.fences:
        target = Target(target.entry, FencedUpstream(target.upstream))
        fallback = fallback and Target(fallback.entry, FencedUpstream(fallback.upstream))
    return Route(model, target, fallback)


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
    )
    upstream = await stack.enter_async_context(_SERVERS[entry.kind](address, settings))
    return RetryingUpstream(upstream, settings.upstream_retries)
