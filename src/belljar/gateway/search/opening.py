"""The backend that the settings name."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from belljar.errors import InvalidRequest
from belljar.gateway.search import Backend, brave, tavily
from belljar.gateway.search.searxng import SearxngBackend
from belljar.settings import BY_UPSTREAM, Settings

_CONNECT_SECONDS = 5
_SERVICES = frozenset({"brave", "tavily"})
"""Which have a URL that all use."""
_KINDS = _SERVICES | {"searxng"}


@asynccontextmanager
async def open_search(settings: Settings, upstream_kind: str) -> AsyncIterator[Backend | None]:
    """What `settings.search` names; None where that is nothing, or the upstream. Raises InvalidRequest."""
    kind, _, url = settings.search.partition(":")
    if settings.search == BY_UPSTREAM:
        if upstream_kind != "anthropic":
            raise InvalidRequest(
                f"search: only an `anthropic` upstream can search itself, and BELLJAR_UPSTREAM is {upstream_kind}"
            )
        yield None
        return
    if not settings.search:
        yield None
        return
    if kind not in _KINDS or not (url.startswith(("http://", "https://")) or (kind in _SERVICES and not url)):
        raise InvalidRequest(
            # Not repeated: it may be a key, or have a password in it.
            "search: it has to be `searxng:URL` (with http:// or https://), `brave`, `tavily` or "
            f"`{BY_UPSTREAM}`"
        )
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL:
        raise InvalidRequest(f"search: the URL of {kind} is none: look at its host and port") from None
    timeout = httpx2.Timeout(settings.search_timeout_seconds, connect=_CONNECT_SECONDS)
    async with httpx2.AsyncClient(timeout=timeout) as client:
        yield _backend(client, kind, url, settings)


def _backend(client: httpx2.AsyncClient, kind: str, url: str, settings: Settings) -> Backend:
    if kind == "searxng":
        return SearxngBackend(client, url)
    if kind == "brave":
        return brave.BraveBackend(client, url or brave.URL, _key(settings, kind, brave.KEY_NAME))
    return tavily.TavilyBackend(client, url or tavily.URL, _key(settings, kind, tavily.KEY_NAME))


def _key(settings: Settings, kind: str, name: str) -> str:
    """Raises InvalidRequest where there is none: a server that starts can search."""
    key = settings.search_key or os.environ.get(name)
    if not key:
        raise InvalidRequest(f"search: set BELLJAR_SEARCH_KEY, or {name}, to the key of {kind}")
    if not key.isascii() or not key.isprintable():
        raise InvalidRequest("search: the key has characters that no key has")
    return key
