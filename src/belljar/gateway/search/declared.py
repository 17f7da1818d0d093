"""The web search tool as a request declares it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from belljar.errors import InvalidRequest
from belljar.gateway.search import Place, domains
from belljar.gateway.search.domains import Domains

NAME = "web_search"
PREFIX = f"{NAME}_"
FIRST_VERSION = "web_search_20250305"
VERSIONS = (FIRST_VERSION, "web_search_20260209", "web_search_20260318")
_PLACE = ("city", "region", "country", "timezone")
_INCLUSIONS = ("full", "excluded")


@dataclass(frozen=True)
class Declared:
    """A search tool, understood."""

    max_uses: int | None
    domains: Domains
    place: Place
    is_for_model: bool
    is_for_code: bool
    shows_searches_of_code: bool
    """To the client, once the code has ended; before that they are shown in any case."""


def read(tool: dict[str, Any], path: str) -> Declared:
    """Understand a tool whose type is one of VERSIONS. Raises InvalidRequest.

    An entry of the domains that is none is no fault of the request: the API tells it as the result of each use.
    """
    most = tool.get("max_uses")
    if most is not None and (
        isinstance(most, bool) or not isinstance(most, int | float) or most < 1 or most % 1
    ):
        raise InvalidRequest(f"{path}.max_uses: Input should be a whole number, 1 or more")
    allowed, blocked = (_listed(tool, name, path) for name in ("allowed_domains", "blocked_domains"))
    if allowed and blocked:
        raise InvalidRequest(
            f"{path}: `allowed_domains` and `blocked_domains` cannot both be there; leave one out"
        )
    callers = tool.get("allowed_callers") or ["direct"]
    is_for_code = any(caller != "direct" for caller in callers)
    if is_for_code and tool["type"] == FIRST_VERSION:
        raise InvalidRequest(
            f"{path}.allowed_callers: code can call a web search of one of the types {', '.join(VERSIONS[1:])}; "
            f"{FIRST_VERSION} is for the model only"
        )
    inclusion = tool.get("response_inclusion", _INCLUSIONS[0])
    if inclusion not in _INCLUSIONS:
        raise InvalidRequest(f"{path}.response_inclusion: Input should be 'full' or 'excluded'")
    return Declared(
        int(most) if most is not None else None,
        domains.read(allowed, blocked),
        _place(tool.get("user_location"), f"{path}.user_location"),
        "direct" in callers,
        is_for_code,
        inclusion != "excluded",
    )


def _listed(tool: dict[str, Any], name: str, path: str) -> list[str]:
    listed = tool.get(name)
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
        raise InvalidRequest(
            f"{path}.{name}: a list of domains, as in example.com or example.com/blog, is needed here"
        )
    return listed


def _place(given: object, path: str) -> Place:
    if given is None:
        return Place()
    if not isinstance(given, dict) or given.get("type") != "approximate":
        raise InvalidRequest(f"{path}: an object of the type 'approximate' is needed here")
    told = {name: given.get(name) for name in _PLACE}
    for name, value in told.items():
        if value is not None and not isinstance(value, str):
            raise InvalidRequest(f"{path}.{name}: Input should be a valid string")
    return Place(**{name: value for name, value in told.items() if value})
