"""What a request offers the model: our tools by the version that it names, and the caller's own.

A version is a set of tools. Those of the caller's tools that code may call are functions inside the code; unless they
are for the model as well, the model hears of them in the description of the code tool only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from belljar.errors import InvalidRequest
from belljar.gateway.search import declared as search_tool
from belljar.gateway.tools import CODE, SEARCH, Offer, Tool, bash, code_execution, text_editor, web_search

VERSIONS: dict[str, tuple[Tool, ...]] = {
    "code_execution_20250522": (code_execution,),
    "code_execution_20250825": (bash, text_editor),
    "code_execution_20260120": (bash, text_editor, code_execution),
    "code_execution_20260521": (bash, text_editor, code_execution),
}
FIRST_VERSION = "code_execution_20250522"

_CODE_CALLERS = frozenset(VERSIONS) - {FIRST_VERSION}
_SHOWN_CALLERS = {"code_execution_20260521": "code_execution_20260120"}
"""A version whose code is shown to the client as another one's: the API's own answers, and the types of its SDKs, know
no later caller than that."""
CALLERS = _CODE_CALLERS | {"direct"}
OTHERS_TOOLS = {
    "web_fetch_": "this server does not fetch pages",
    "tool_search_tool_": "this server does not search tools",
    "mcp_toolset": "this server does not connect to MCP servers",
}
"""Tools that other servers run, by how their types begin, and why not this one."""


class ToolNameConflict(InvalidRequest):
    """Two tools have one name."""

    details = {"error_code": "tool_name_conflict"}  # noqa: RUF012 - read only


@dataclass(frozen=True)
class Offered:
    """The tools of one request, understood."""

    version: str | None
    """The code execution tool's type; None where the request does not offer it."""
    tools: tuple[Tool, ...]
    """Of ours."""
    client_tools: tuple[dict[str, Any], ...]
    """Of the caller's, as declared: what code may call."""
    declared: tuple[dict[str, Any], ...]
    """All, as they came."""
    search: search_tool.Declared | None = None
    """The web search, where it is ours to run; one that is the upstream's is like any tool that we do not know."""

    @property
    def names(self) -> frozenset[str]:
        """Those by which the model asks for something that runs here."""
        return frozenset(tool.name for tool in self.tools)

    @property
    def caller_type(self) -> str | None:
        """What stands in the `caller` of a use by code."""
        return _SHOWN_CALLERS.get(self.version, self.version) if self.version is not None else None

    @property
    def for_code(self) -> tuple[dict[str, Any], ...]:
        """All that code may call, as declared."""
        if self.search is None or not self.searches_in_code:
            return self.client_tools
        return (*self.client_tools, web_search.for_code(self.search))

    @property
    def searches_in_code(self) -> bool:
        return self.search is not None and self.search.is_for_code

    def for_upstream(self, offer: Offer) -> list[dict[str, Any]]:
        """The tools in the words of a plain Messages server."""
        out: list[dict[str, Any]] = []
        for tool in self.declared:
            if tool.get("type") == self.version and self.version is not None:
                made = [own.definition(offer) for own in self.tools if own.name != SEARCH]
                if tool.get("cache_control"):
                    made[-1]["cache_control"] = tool["cache_control"]
                out += made
            elif str(tool.get("type")).startswith(search_tool.PREFIX):
                out += self._search_for_upstream(tool, offer)
            elif "direct" in (tool.get("allowed_callers") or ["direct"]):
                out.append({name: value for name, value in tool.items() if name != "allowed_callers"})
        return out

    def _search_for_upstream(self, tool: dict[str, Any], offer: Offer) -> list[dict[str, Any]]:
        if self.search is None:
            return [tool]
        if not self.search.is_for_model:
            return []
        cache = {"cache_control": tool["cache_control"]} if tool.get("cache_control") else {}
        return [web_search.definition(offer) | cache]

    def choice_for_upstream(self, choice: dict[str, Any]) -> dict[str, Any]:
        """`tool_choice`, by a name that the upstream knows."""
        if (
            choice.get("type") == "tool"
            and choice.get("name") == CODE
            and CODE not in self.names
            and self.tools
        ):
            return choice | {"name": self.tools[0].name}
        return choice


def read(
    tools: Sequence[dict[str, Any]], choice: dict[str, Any] | None, *, leaves_search: bool = False
) -> Offered:
    """Understand `tools` and `tool_choice`; with `leaves_search` a web search is the upstream's.

    Raises InvalidRequest for what cannot be offered here.
    """
    declared: dict[str, Any] | None = None
    search: search_tool.Declared | None = None
    names: dict[str, int] = {}
    for index, tool in enumerate(tools):
        kind, name = "custom" if tool.get("type") is None else tool["type"], tool.get("name")
        if not kind:
            raise InvalidRequest(f"tools.{index}.type: it is empty; leave it out for a tool of your own")
        for prefix, why in OTHERS_TOOLS.items():
            if kind.startswith(prefix):
                raise InvalidRequest(f"tools.{index}: {kind} cannot be used: {why}. Leave it out of `tools`.")
        if name in names:
            raise ToolNameConflict(
                f"tools.{index}.name: {name!r} is the name of another tool in the list already"
            )
        if name is not None:
            names[name] = index
        if kind == "custom":
            _check_custom(tool, f"tools.{index}")
        _check_callers(tool, f"tools.{index}")
        if kind.startswith(search_tool.PREFIX):
            _check_version(kind, search_tool.VERSIONS, name, SEARCH, f"tools.{index}")
            search = None if leaves_search else search_tool.read(tool, f"tools.{index}")
        if not kind.startswith("code_execution"):
            continue
        _check_version(kind, VERSIONS, name, CODE, f"tools.{index}")
        declared = tool
    version = declared["type"] if declared else None
    is_for_code = search is not None and search.is_for_code
    callable_tools = _callable(tools, version, searches=is_for_code)
    ours = VERSIONS[version] if version else ()
    if (callable_tools or is_for_code) and code_execution not in ours:
        ours = (*ours, code_execution)
    for own in ours:
        if own.name in names and own.name != CODE:
            raise ToolNameConflict(
                f"tools.{names[own.name]}.name: {own.name!r} is the name of a part of {version}; choose another"
            )
    if search is not None and search.is_for_model:
        ours = (*ours, web_search)
    offered = Offered(version, tuple(ours), tuple(callable_tools), tuple(tools), search)
    if choice is not None:
        _check_choice(offered, names, choice)
    return offered


def _check_version(kind: str, known: Iterable[str], name: object, wanted: str, path: str) -> None:
    if kind not in known:
        raise InvalidRequest(
            f"{path}.type: {kind!r} is not a version that this server knows; known: {', '.join(known)}"
        )
    if name != wanted:
        raise InvalidRequest(f"{path}.name: Input should be {wanted!r}")


def _check_custom(tool: dict[str, Any], path: str) -> None:
    if not tool.get("name"):
        raise InvalidRequest(f"{path}.name: Field required")
    if not isinstance(tool.get("input_schema"), dict):
        raise InvalidRequest(f"{path}.input_schema: a JSON schema, as an object, is needed here")


def _check_callers(tool: dict[str, Any], path: str) -> None:
    callers = tool.get("allowed_callers")
    if callers is None:
        return
    if not isinstance(callers, list) or not callers or not CALLERS.issuperset(map(str, callers)):
        known = ", ".join(sorted(CALLERS))
        raise InvalidRequest(f"{path}.allowed_callers: a list of one or more of these is needed: {known}")


def _callable(
    tools: Sequence[dict[str, Any]], version: str | None, *, searches: bool
) -> list[dict[str, Any]]:
    """What code may call of the caller's; where it `searches`, that is checked as well.

    Raises InvalidRequest where code cannot call a tool, or not in this way.
    """
    found: list[dict[str, Any]] = []
    functions: dict[str, str] = {}
    for index, tool in enumerate(tools):
        path = f"tools.{index}"
        if tool.get("type") == version and version is not None:
            continue
        if _CODE_CALLERS.isdisjoint(tool.get("allowed_callers") or ()):
            continue
        is_search = str(tool.get("type")).startswith(search_tool.PREFIX)
        if is_search and not searches:
            continue  # it is the upstream's
        if (not is_search and (tool.get("type") or "custom") != "custom") or not isinstance(
            tool.get("name"), str
        ):
            raise InvalidRequest(f"{path}.allowed_callers: code can call tools with an `input_schema` only")
        if version is None or version == FIRST_VERSION:
            raise InvalidRequest(
                f"{path}.allowed_callers: code that could call this tool needs a code execution tool in `tools`, "
                f"of one of the types {', '.join(sorted(_CODE_CALLERS))}"
            )
        if not is_search and tool.get("strict"):
            raise InvalidRequest(f"{path}.strict: tools that code calls cannot be strict")
        if not is_search:
            _check_schema(tool["input_schema"], f"{path}.input_schema")
        function = code_execution.function_name(tool["name"])
        if function in functions:
            raise ToolNameConflict(
                f"{path}.name: in code {tool['name']!r} and {functions[function]!r} would both be {function}()"
            )
        functions[function] = tool["name"]
        if not is_search:
            found.append(tool)
    return found


def _check_schema(schema: dict[str, Any], path: str) -> None:
    """Raises InvalidRequest for a schema that refers to itself: it has no end in a description."""
    definitions = {
        f"#/{place}/{name}": definition
        for place in ("$defs", "definitions")
        if isinstance(schema.get(place), dict)
        for name, definition in schema[place].items()
    }

    seen: set[str] = set()
    """What has an end, as is known already: where each definition names the next one twice, ways to it double."""

    def walk(part: Any, within: frozenset[str]) -> None:
        if isinstance(part, list):
            for item in part:
                walk(item, within)
        elif isinstance(part, dict):
            target = part.get("$ref")
            if isinstance(target, str):
                if target in within or target == "#":
                    raise InvalidRequest(f"{path}: Circular $ref detected: {target}")
                if target not in seen:
                    walk(definitions.get(target), within | {target})
                    seen.add(target)
            for name, value in part.items():
                if name not in {"$defs", "definitions"}:
                    walk(value, within)

    try:
        walk(schema, frozenset())
        json.dumps(schema)
    except RecursionError as error:
        raise InvalidRequest(f"{path}: it is nested too deeply") from error


def _check_choice(offered: Offered, names: dict[str, int], choice: dict[str, Any]) -> None:
    kind = choice.get("type")
    if not isinstance(kind, str) or kind not in {"auto", "any", "tool", "none"}:
        raise InvalidRequest("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    if offered.client_tools and choice.get("disable_parallel_tool_use"):
        raise InvalidRequest(
            "tool_choice.disable_parallel_tool_use: it does not go together with tools that code calls, which may call "
            "several at once. Leave it out, or leave `allowed_callers` out."
        )
    if kind != "tool":
        return
    name = choice.get("name")
    if not isinstance(name, str):
        raise InvalidRequest("tool_choice.name: Field required")
    if name not in names and name not in offered.names:
        raise InvalidRequest(f"tool_choice.name: there is no tool {name!r} in `tools`")
    tool = offered.declared[names[name]] if name in names else {}
    if tool.get("type") != offered.version and "direct" not in (tool.get("allowed_callers") or ["direct"]):
        raise InvalidRequest(
            f"tool_choice.name: {name!r} can be called by code only: its `allowed_callers` lack 'direct'"
        )
