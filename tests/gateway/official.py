"""What the official Messages API refuses in a request: what we send to such a server is held to it wherever a
`serving.Model` plays one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_FIELDS = {
    "text": {"text", "citations"},
    "image": {"source"},
    "document": {"source", "title", "context", "citations"},
    "search_result": {"source", "title", "content", "citations"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "tool_use": {"id", "name", "input", "caller"},
    "tool_result": {"tool_use_id", "content", "is_error"},
}
"""Of the blocks that are checked, beside `type` and `cache_control`."""
_IN_RESULTS = {"text", "image", "document", "search_result"}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_MOST_MARKS = 4


def faults(body: dict[str, Any]) -> list[str]:
    """Why the request would be a 400, a line each; none where it would not."""
    try:
        return list(_faults(body))
    except (LookupError, TypeError, AttributeError) as error:
        return [f"the request is of no shape that could be looked at: {error!r}"]


def _faults(body: dict[str, Any]) -> Iterator[str]:
    yield from _of_tools(body)
    messages = body["messages"]
    if not messages or messages[0]["role"] != "user":
        yield "messages: the first message must use the user role"
    marks = _marks(body.get("system")) + _marks(body.get("tools"))
    asked: set[str] = set()
    for at, message in enumerate(messages):
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not blocks:
            yield f"messages.{at}: content must not be empty"
        marks += _marks(blocks)
        for number, block in enumerate(blocks):
            yield from _of_block(block, f"messages.{at}.content.{number}")
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        first = [block["type"] for block in blocks[: len(results)]]
        if set(results) != asked or len(results) != len(asked) or first != ["tool_result"] * len(results):
            yield f"messages.{at}: tool_result blocks for {sorted(asked)} must be there, first, and no others"
        asked = set()
        for block in blocks:
            if block["type"] == "tool_use":
                if message["role"] != "assistant" or block["id"] in asked:
                    yield f"messages.{at}: tool_use {block['id']} is not the assistant's, or not the first of its id"
                asked.add(block["id"])
    if asked:
        yield f"messages: nothing answers {sorted(asked)}"
    if marks > _MOST_MARKS:
        yield f"{marks} blocks with cache_control; {_MOST_MARKS} are the most"
    if messages and messages[-1]["role"] == "assistant":
        end = (blocks or [{}])[-1].get("text", "")
        if end != end.rstrip():
            yield "messages: final assistant content cannot end with trailing whitespace"


def _of_tools(body: dict[str, Any]) -> Iterator[str]:
    names = [tool.get("name") for tool in body.get("tools", ())]
    if len(set(names)) < len(names):
        yield f"tools: names must be unique: {names}"
    for tool in body.get("tools", ()):
        is_custom = tool.get("type", "custom") == "custom"
        if is_custom and not (_NAME.fullmatch(tool["name"]) and isinstance(tool.get("input_schema"), dict)):
            yield f"tools: {tool['name']!r} needs a name that fits, and an input_schema"
    choice = body.get("tool_choice", {})
    if choice and not names:
        yield "tool_choice without tools"
    if choice.get("type") == "tool" and choice["name"] not in names:
        yield f"tool_choice: {choice['name']!r} is none of {names}"


def _of_block(block: dict[str, Any], path: str) -> Iterator[str]:
    kind = block["type"]
    if kind not in _FIELDS:
        return  # a tool's of the model server, say
    if extra := block.keys() - _FIELDS[kind] - {"type", "cache_control"}:
        yield f"{path}: extra inputs are not permitted: {sorted(extra)}"
    if kind == "text" and not block["text"].strip():
        yield f"{path}: text content blocks must contain non-whitespace text"
    if kind == "tool_use" and not (_ID.fullmatch(block["id"]) and isinstance(block["input"], dict)):
        yield f"{path}: a tool_use needs an id that fits, and an object as its input"
    if kind == "tool_result" and isinstance(block.get("content"), list):
        for number, part in enumerate(block["content"]):
            if part["type"] not in _IN_RESULTS:
                yield f"{path}.content.{number}: {part['type']} cannot be in a result"
            yield from _of_block(part, f"{path}.content.{number}")


def _marks(blocks: object) -> int:
    """How many have `cache_control`, those in results too."""
    if not isinstance(blocks, list):
        return 0
    return sum(bool(block.get("cache_control")) + _marks(block.get("content")) for block in blocks)
