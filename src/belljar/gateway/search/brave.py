"""Brave Search: https://api-dashboard.search.brave.com/api-reference/web/search/get"""

from __future__ import annotations

import httpx2

from belljar.gateway.search import Found, Place, Query, SearchFailed
from belljar.gateway.search.asking import Asking, pages

URL = "https://api.search.brave.com"
KEY_NAME = "BRAVE_API_KEY"
_MOST_CHARS, _MOST_WORDS = 400, 50


class BraveBackend:
    kind = "brave"

    def __init__(self, client: httpx2.AsyncClient, base_url: str, key: str) -> None:
        self._asking = Asking(client, self.kind, f"{base_url.rstrip('/')}/res/v1/web/search")
        self._headers = {"accept": "application/json", "x-subscription-token": key}

    async def search(self, query: Query) -> list[Found]:
        if len(query.text) > _MOST_CHARS or len(query.text.split()) > _MOST_WORDS:
            raise SearchFailed(
                "query_too_long", f"A query has at most {_MOST_CHARS} characters and {_MOST_WORDS} words."
            )
        params = {
            "q": query.domains.narrowed(query.text, _MOST_CHARS, _MOST_WORDS),
            "count": "20",
            "result_filter": "web",
            "text_decorations": "false",
        }
        headers = self._headers | _located(query.place)
        answer = await self._asking.ask("GET", params=params, headers=headers)
        web = answer.get("web")
        listed = web.get("results") if isinstance(web, dict) else None
        return pages(listed, ["description", "extra_snippets"], "page_age")


def _located(place: Place) -> dict[str, str]:
    """Brave takes a country as a parameter as well, but only some of them."""
    named = {
        "x-loc-city": place.city,
        "x-loc-state-name": place.region,
        "x-loc-country": place.country,
        "x-loc-timezone": place.timezone,
    }
    return {name: value for name, value in named.items() if value and value.isascii() and value.isprintable()}
