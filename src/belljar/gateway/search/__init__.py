"""Search engines. One Protocol, one file for each kind of engine that answers to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from belljar.gateway.search.domains import Domains

ErrorCode = Literal[
    "invalid_tool_input",
    "unavailable",
    "max_uses_exceeded",
    "too_many_requests",
    "query_too_long",
    "request_too_large",
]
"""How a search fails, in the words of the API."""


@dataclass(frozen=True)
class Place:
    """Where the user is, roughly; empty strings where that is not told."""

    city: str = ""
    region: str = ""
    country: str = ""
    """Two letters."""
    timezone: str = ""


@dataclass(frozen=True)
class Query:
    """What is searched for."""

    text: str
    domains: Domains
    """A wish, as far as the backend can be told: what comes back is held against it here."""
    place: Place


@dataclass(frozen=True)
class Found:
    """A page, as the backend tells of it."""

    url: str
    title: str
    text: str
    """What the page says of the matter."""
    page_age: str | None = None


class SearchFailed(Exception):
    """A search that came to nothing. Its message is for the model, and has no key in it."""

    def __init__(self, error_code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.error_code: ErrorCode = error_code


class Backend(Protocol):
    @property
    def kind(self) -> str:
        """`searxng`, `brave` or `tavily`."""

    async def search(self, query: Query) -> list[Found]:
        """Pages, the best first. Raises SearchFailed."""
