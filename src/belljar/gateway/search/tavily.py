"""Tavily: https://docs.tavily.com/documentation/api-reference/endpoint/search"""

from __future__ import annotations

from typing import Any

import httpx2

from belljar.gateway.search import Found, Query, SearchFailed
from belljar.gateway.search.asking import MOST_RESULTS, Asking, pages

URL = "https://api.tavily.com"
KEY_NAME = "TAVILY_API_KEY"
_MOST_CHARS = 400


class TavilyBackend:
    kind = "tavily"

    def __init__(self, client: httpx2.AsyncClient, base_url: str, key: str) -> None:
        self._asking = Asking(client, self.kind, f"{base_url.rstrip('/')}/search")
        self._headers = {"authorization": f"Bearer {key}"}

    async def search(self, query: Query) -> list[Found]:
        if len(query.text) > _MOST_CHARS:
            raise SearchFailed("query_too_long", f"A query has at most {_MOST_CHARS} characters.")
        body: dict[str, Any] = {"query": query.text, "max_results": 2 * MOST_RESULTS}
        if query.domains.allowed_hosts:
            body["include_domains"] = query.domains.allowed_hosts
        if query.domains.blocked_hosts:
            body["exclude_domains"] = query.domains.blocked_hosts
        answer = await self._asking.ask("POST", json=body, headers=self._headers)
        return pages(answer.get("results"), ["content"], "published_date")
