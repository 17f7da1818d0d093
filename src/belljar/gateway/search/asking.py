"""How backends ask: one request, one JSON object, and what fails on the way in the API's own codes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from html import unescape
from typing import Any

import anyio
import httpx2
import structlog

from belljar.gateway.search import ErrorCode, Found, SearchFailed
from belljar.gateway.upstream.server import shown_url

log = structlog.get_logger("belljar.gateway")

MOST_RESULTS = 10
_ANSWER_BYTES = 8 * 1024 * 1024
_TEXT_CHARS = 4000
_TITLE_CHARS = 400
_URL_CHARS = 2000
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_CODES: Mapping[int, ErrorCode] = {
    400: "invalid_tool_input",
    413: "request_too_large",
    414: "request_too_large",
    422: "invalid_tool_input",
    429: "too_many_requests",
    # Tavily's own: over the plan's limit, over that of what is paid as it is used.
    432: "too_many_requests",
    433: "too_many_requests",
}
"""What a status means; all others mean that the backend cannot be used."""


class Asking:
    """A backend's HTTP. Keys travel in headers, and neither these nor a query nor an answer is ever written down."""

    def __init__(self, client: httpx2.AsyncClient, kind: str, url: str) -> None:
        self._client = client
        self._kind = kind
        self._url = url

    async def ask(self, method: str, **more: Any) -> dict[str, Any]:
        """The JSON object that comes back. Raises SearchFailed."""
        try:
            # The client's own time is for each piece of an answer, and one that drips would have no end.
            with anyio.fail_after(self._client.timeout.read):
                async with self._client.stream(method, self._url, **more) as response:
                    if response.status_code != 200:
                        raise self._refused(response.status_code)
                    body = await _body(response)
        except (httpx2.TimeoutException, TimeoutError) as error:
            raise self._failed("it did not answer in time") from error
        except httpx2.HTTPError as error:
            raise self._failed(f"it could not be asked ({type(error).__name__})") from error
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self._failed("its answer was not JSON") from error
        if not isinstance(answer, dict):
            raise self._failed("its answer was not a JSON object")
        return answer

    def _refused(self, status: int) -> SearchFailed:
        return self._failed(f"it answered {status}", _CODES.get(status, "unavailable"), status=status)

    def _failed(self, why: str, code: ErrorCode = "unavailable", **more: object) -> SearchFailed:
        log.warning(
            "a search failed", backend=self._kind, url=shown_url(self._url), code=code, why=why, **more
        )
        return SearchFailed(code, f"The search engine was of no use: {why}.")


async def _body(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _ANSWER_BYTES:
            raise httpx2.ReadError("more than a search can have found")
    return bytes(body)


def pages(listed: object, text: Iterable[str], age: str) -> list[Found]:
    """The results in a backend's answer, of which `text` names the fields with words and `age` that with a date.

    What has no URL of the web, or one that was there before, is left out.
    """
    found: dict[str, Found] = {}
    for item in listed if isinstance(listed, list) else []:
        if not isinstance(item, dict):
            continue
        url = item.get("url")
        if not isinstance(url, str) or len(url) > _URL_CHARS or not url.startswith(("http://", "https://")):
            continue
        words = " … ".join(dict.fromkeys(part for name in text for part in _words(item.get(name))))
        date = plain(item.get(age))[:100]
        url = _sound(url)
        title = plain(item.get("title"))[:_TITLE_CHARS]
        found.setdefault(url, Found(url, title or url, words[:_TEXT_CHARS], date or None))
    return list(found.values())


def _words(value: object) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [words for item in listed if (words := plain(item))]


def plain(value: object) -> str:
    """Text without marks of HTML, which some engines leave in; empty where that is no text."""
    return _sound(" ".join(unescape(_TAG.sub("", value)).split())) if isinstance(value, str) else ""


def _sound(text: str) -> str:
    """JSON can name half a character, for which UTF-8 has no form."""
    return text.encode("utf-8", "replace").decode()
