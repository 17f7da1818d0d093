"""Searches in a conversation that comes back: whose they are, and what was found. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from belljar.gateway.search import Found, citing
from belljar.gateway.search.declared import NAME
from belljar.gateway.search.sealed import unseal
from belljar.wire.messages import Message

Block = dict[str, Any]

RESULT = f"{NAME}_tool_result"
_CITATION = "web_search_result_location"


def is_by_code(block: Block) -> bool:
    """Whether it was code that has called the tool."""
    caller = block.get("caller")
    return isinstance(caller, dict) and str(caller.get("type")).startswith("code_execution")


def of_upstream(messages: Iterable[Message]) -> frozenset[str]:
    """The ids of uses that the upstream has run itself: searches, and the code that has made some of them.

    It knows these blocks, and what it has sealed in them; from ours it could not read anything.
    """
    blocks = [block for message in messages if message.role == "assistant" for block in message.blocks]
    ours = {block.get("tool_use_id") for block in blocks if block.get("type") == RESULT and _is_ours(block)}
    found = set()
    for block in blocks:
        if (
            block.get("type") == "server_tool_use"
            and block.get("name") == NAME
            and block.get("id") not in ours
        ):
            found.add(str(block.get("id")))
            if is_by_code(block):
                found.add(str(block["caller"].get("tool_id")))
        elif isinstance(content := block.get("content"), dict) and "encrypted_stdout" in content:
            found.add(str(block.get("tool_use_id")))
    return frozenset(found)


def without_nested(blocks: list[Block], of_upstream: frozenset[str]) -> list[Block]:
    """Blocks without the searches that code has made here: the model knows what the code has printed of them.

    Citations go too, but for those that the upstream has made itself: they name what only a former request had.
    """
    nested = {
        block.get("id")
        for block in blocks
        if block.get("type") == "server_tool_use" and block.get("name") == NAME and is_by_code(block)
    } - of_upstream
    return [
        _with_citations(block, keeps=bool(of_upstream))
        for block in blocks
        if not (block.get("type") == "server_tool_use" and block.get("id") in nested)
        and not (block.get("type") == RESULT and block.get("tool_use_id") in nested)
    ]


def pages(block: Block) -> list[Found] | None:
    """What a result block tells of; None where it tells of a failure, or of nothing that we know."""
    if block.get("type") != RESULT or not isinstance(block.get("content"), list):
        return None
    return [
        Found(
            str(item["url"]),
            str(item.get("title") or item["url"]),
            unseal(item.get("encrypted_content")) or "",
            str(item["page_age"]) if item.get("page_age") else None,
        )
        for item in block["content"]
        if isinstance(item, dict) and item.get("url")
    ]


def content(block: Block) -> list[Block] | None:
    """The content of a `tool_result` for a result block, as `pages` has it."""
    found = pages(block)
    return None if found is None else citing.content(found)


def _is_ours(block: Block) -> bool:
    content = block.get("content")
    return isinstance(content, list) and any(
        isinstance(item, dict) and unseal(item.get("encrypted_content")) is not None for item in content
    )


def _with_citations(block: Block, *, keeps: bool) -> Block:
    citations = block.get("citations")
    if block.get("type") != "text" or not isinstance(citations, list):
        return block
    left = [
        citation
        for citation in citations
        if not (isinstance(citation, dict) and citation.get("type") == _CITATION)
        or (keeps and unseal(citation.get("encrypted_index")) is None)
    ]
    if len(left) == len(citations):
        return block
    return {name: value for name, value in block.items() if name != "citations"} | (
        {"citations": left} if left else {}
    )
