"""How many tokens a request has, at a guess: for upstreams that do not count. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from belljar import cutting
from belljar.cutting import BYTES_A_TOKEN
from belljar.gateway.upstream import Request

HEADER = "belljar-token-count"
"""Says in an answer who counted: `upstream`, or `estimate` where it was done here."""

_MESSAGE_TOKENS = 4
"""For the role, and the marks around what is said."""
_TOOLS_TOKENS = 300
"""What a model is told of tools before the first of them."""
IMAGE_TOKENS = 1600
"""Of an image as large as models look at; larger ones are made smaller for them."""
_PAGE_BYTES = 50_000
"""Of a PDF, for what an image costs: a page of text has less, a scanned one more."""


def estimate(request: Request) -> int:
    """Tokens of what the model would read: the system prompt, the tools and the messages.

    A token is taken for four bytes of UTF-8, an image for the most that one costs, a PDF for an image in each
    50,000 bytes.
    """
    tokens = _of(request.get("system"))
    if tools := request.get("tools"):
        tokens += _TOOLS_TOKENS + sum(_of_text(json.dumps(tool, ensure_ascii=False)) for tool in tools)
    for message in request["messages"]:
        tokens += _MESSAGE_TOKENS + _of(message["content"])
    return tokens


def of_text(text: str) -> int:
    """Tokens of what is executed, or printed."""
    return _of_text(text)


def of_given(given: object) -> int:
    """Tokens of what the model wants run: the texts in a tool's input."""
    if isinstance(given, dict):
        return sum(_of_text(value) for value in given.values() if isinstance(value, str))
    return _of_text(str(given))


def of_blocks(blocks: list[dict[str, Any]]) -> int:
    """Tokens of what a model has said."""
    return _of(blocks)


def of_result(block: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens of the texts in a `tool_result`, and of the images and PDFs in it."""
    parts = (
        block["content"]
        if isinstance(block["content"], list)
        else [{"type": "text", "text": block["content"]}]
    )
    pictures = sum(_of(part) for part in parts if part.get("type") in {"image", "document"})
    return _of(parts) - pictures, pictures


def cut(text: str, most_tokens: int, whole: str = "") -> str:
    """`text`, or its head and tail where it has more tokens than that. `whole` is where all of it can be read."""
    return cutting.cut(text, most_tokens * BYTES_A_TOKEN, whole)


def _of(content: Any) -> int:
    """Text, a block, or a list of blocks, with those inside them."""
    if isinstance(content, str):
        return _of_text(content)
    if isinstance(content, list):
        return sum(_of(part) for part in content)
    if not isinstance(content, dict):
        return 0
    kind, source = content.get("type"), content.get("source")
    if kind == "image":
        return IMAGE_TOKENS
    if kind == "document" and isinstance(source, dict):
        if source.get("type") == "base64":
            return IMAGE_TOKENS * (1 + len(str(source.get("data"))) * 3 // 4 // _PAGE_BYTES)
        return _of(source.get("data") or source.get("content"))
    if kind == "tool_use":
        return _of_text(json.dumps(content.get("input"), ensure_ascii=False)) + _of_text(
            str(content.get("name"))
        )
    return sum(_of(content.get(name)) for name in ("text", "thinking", "content"))


def _of_text(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_A_TOKEN)
