"""SearXNG, a metasearch engine to run oneself: https://docs.searxng.org/dev/search_api.html"""

from __future__ import annotations

import httpx2

from belljar.gateway.search import Found, Query, SearchFailed
from belljar.gateway.search.asking import Asking, pages

_NARROWED_CHARS, _NARROWED_WORDS = 2000, 300


class SearxngBackend:
    """A SearXNG whose `search.formats` has `json`; else it answers 403."""

    kind = "searxng"

    def __init__(self, client: httpx2.AsyncClient, base_url: str) -> None:
        self._asking = Asking(client, self.kind, f"{base_url.rstrip('/')}/search")

    async def search(self, query: Query) -> list[Found]:
        text = query.domains.narrowed(query.text, _NARROWED_CHARS, _NARROWED_WORDS)
        answer = await self._asking.ask("GET", params={"q": text, "format": "json"})
        found = pages(answer.get("results"), ["content"], "publishedDate")
        if not found and answer.get("unresponsive_engines"):
            # An engine that is blocked has found nothing, which is not the same as that there is nothing.
            raise SearchFailed("unavailable", "Nothing was found, and some of the engines did not answer.")
        return found
