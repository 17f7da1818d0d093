"""What a search found, as the model is told of it, and how it cites that. Pure.

Between the loop and the history a page is a block of our own, which holds it whole. A request that goes out has
`search_result` blocks instead, where the model knows these and cites them, and else text with numbers:
https://platform.claude.com/docs/en/build-with-claude/search-results
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from belljar.gateway.search import Found
from belljar.gateway.search.sealed import seal
from belljar.gateway.tokens import cut

Block = dict[str, Any]

_PAGE = "belljar_page"
NOTHING = "Nothing was found."
_CITED_CHARS = 150


def content(pages: Sequence[Found]) -> list[Block]:
    """The content of a `tool_result`, to be sent by way of `sendable`."""
    return [{"type": _PAGE, "page": page} for page in pages] or [_text(NOTHING)]


def listed(pages: Sequence[Found], first: int = 1) -> str:
    """Pages with numbers, in plain words."""
    return "\n\n".join(
        "\n".join(part for part in (f"[{number}] {page.title}", _where(page), page.text) if part)
        for number, page in enumerate(pages, first)
    )


def words_of(block: Block) -> str:
    """A block of `content` as text; empty where it has none."""
    page = _page(block)
    return listed([page]) if page else str(block.get("text") or "")


@dataclass(frozen=True)
class Sources:
    """The pages in a request that a model can cite: by their place among all its `search_result` blocks."""

    pages: Mapping[int, Found] = field(default_factory=dict)

    def translated(self, citation: Block) -> Block:
        """A citation of one of our pages in the words of web search; any other as it is."""
        if citation.get("type") != "search_result_location":
            return citation
        source = citation.get("source")
        page = self.pages.get(citation.get("search_result_index", -1))
        if page is None or page.url != source:
            return citation  # a result that the caller has sent
        text = str(citation.get("cited_text") or "")
        return {
            "type": "web_search_result_location",
            "url": page.url,
            "title": page.title,
            "encrypted_index": seal(page.url),
            "cited_text": text if len(text) <= _CITED_CHARS else f"{text[: _CITED_CHARS - 1]}…",
        }


def sendable(
    messages: list[dict[str, Any]], most_tokens: int, *, cites: bool
) -> tuple[list[dict[str, Any]], Sources]:
    """The messages in words that model servers know. `cites` says that the model knows `search_result` blocks.

    The pages of one search share `most_tokens`.
    """
    if not any(_page(block) for block in _blocks(messages)):
        return messages, Sources()
    # The API wants citations of all results in a request or of none, and the caller may have sent some.
    is_cited = all(
        (block.get("citations") or {}).get("enabled") is True
        for block in _blocks(messages)
        if block.get("type") == "search_result"
    )
    pages: dict[int, Found] = {}
    number = 0
    out = []
    for message in messages:
        blocks = []
        for block in message["content"]:
            if block.get("type") == "search_result":
                number += 1
            if block.get("type") == "tool_result" and isinstance(block.get("content"), list):
                own = [page for part in block["content"] if (page := _page(part))]
                own = [replace(page, text=cut(page.text, most_tokens // len(own))) for page in own]
                if own and cites:
                    pages |= dict(enumerate(own, number))
                    block = {**block, "content": [_search_result(page, is_cited) for page in own]}
                    number += len(own)
                elif own:
                    block = {**block, "content": [_text(listed(own, number + 1))]}
                    number += len(own)
                else:
                    number += sum(part.get("type") == "search_result" for part in block["content"])
            blocks.append(block)
        out.append({**message, "content": blocks})
    return out, Sources(pages if is_cited else {})


def _blocks(messages: list[dict[str, Any]]) -> Iterator[Block]:
    """All blocks of all messages, and those in tool results."""
    for message in messages:
        for block in message["content"]:
            yield block
            if block.get("type") == "tool_result" and isinstance(block.get("content"), list):
                yield from block["content"]


def _page(block: Block) -> Found | None:
    page = block.get("page") if block.get("type") == _PAGE else None
    return page if isinstance(page, Found) else None


def _search_result(page: Found, is_cited: bool) -> Block:
    # What is cited is a whole text: the age stands in one of its own.
    texts = [page.text or page.title, *([f"Page age: {page.page_age}"] if page.page_age else [])]
    return {
        "type": "search_result",
        "source": page.url,
        "title": page.title,
        "content": [_text(text) for text in texts],
        "citations": {"enabled": is_cited},
    }


def _where(page: Found) -> str:
    return f"{page.url} ({page.page_age})" if page.page_age else page.url


def _text(text: str) -> Block:
    return {"type": "text", "text": text}
