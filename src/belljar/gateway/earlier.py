"""Results of tools that ran here, as clients send them back, in the words in which a model is told of them.

They come in every form that an answer can have had: of each version of the tool, of either profile, of other servers.
"""

from __future__ import annotations

import json
from typing import Any

from belljar.gateway.search import citing, resent
from belljar.gateway.tokens import cut

Block = dict[str, Any]

_STRAY_TOKENS = 2000
_SEALED = "(What it has printed can be read by the server alone on which it ran.)"


def is_result(kind: str) -> bool:
    """Whether it is the type of a result of a server's tool, and not of one of the caller's own."""
    return kind == "code_execution_result" or (kind.endswith("_tool_result") and kind != "tool_result")


def content_of(block: Block) -> tuple[list[Block], bool]:
    """The content of a result block of either profile, and whether it reports a failure."""
    if block.get("type") == "code_execution_result":
        return _inline_content(block), bool(block.get("is_error"))
    if (found := resent.content(block)) is not None:
        return found, False
    content = block.get("content")
    if block.get("type") == "mcp_tool_result":
        return _said(content), block.get("is_error") is True
    if isinstance(content, dict) and "return_code" in content:
        return [{"type": "text", "text": _printed(content)}], content.get("return_code") != 0
    if isinstance(content, dict) and "error_code" in content:
        why = f": {content['error_message']}" if content.get("error_message") else ""
        return [{"type": "text", "text": f"The tool failed: {content['error_code']}{why}"}], True
    if isinstance(content, dict) and str(content.get("type")).startswith("text_editor_code_execution_"):
        return _edit_content(content), False
    return [{"type": "text", "text": json.dumps(content, ensure_ascii=False)}], False


def _said(content: object) -> list[Block]:
    """What an MCP server has answered: a string, or texts."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = [
        {"type": "text", "text": str(part["text"])}
        for part in (parts if isinstance(parts, list) else [])
        if isinstance(part, dict) and part.get("type") == "text" and part.get("text")
    ]
    return texts or [{"type": "text", "text": "(no output)"}]


def _edit_content(content: dict[str, Any]) -> list[Block]:
    """What an edit did, or what was viewed."""
    lines = content.get("lines")
    if isinstance(lines, list):
        return [{"type": "text", "text": "\n".join(map(str, lines)) or "(no change)"}]
    if "is_file_update" in content:
        return [{"type": "text", "text": "The file was written."}]
    viewed = str(content.get("content") or "")
    kind = content.get("file_type")
    if kind == "text" or not viewed:
        return [{"type": "text", "text": viewed if viewed.strip() else "(empty)"}]
    return [{"type": "text", "text": f"[{'A PDF' if kind == 'pdf' else 'An image'} was shown.]"}]


def _inline_content(block: Block) -> list[Block]:
    output = block.get("output") or {}
    if output.get("type") == "image":
        source = {"type": "base64", "media_type": output.get("media_type"), "data": output.get("data")}
        return [{"type": "image", "source": source}]
    text = str(output.get("text") or "")
    return [{"type": "text", "text": text if text.strip() else "(no output)"}]


def _printed(content: dict[str, Any]) -> str:
    lines = [str(content.get("stdout") or "")]
    if content.get("encrypted_stdout"):
        lines.append(_SEALED)
    if content.get("stderr"):
        lines.append(f"stderr:\n{content['stderr']}")
    if content.get("return_code"):
        lines.append(f"return code: {content['return_code']}")
    made = content.get("content")
    entries = made if isinstance(made, list) else []
    files = [str(entry.get("file_id")) for entry in entries if isinstance(entry, dict)]
    if files:
        lines.append(f"files: {', '.join(files)}")
    text = "\n".join(line for line in lines if line)
    return text if text.strip() else "(no output)"


def stray(block: Block) -> str:
    """A result whose use is not there any more."""
    content, _ = content_of(block)
    texts = [words for part in content if (words := citing.words_of(part))]
    what = "web search" if block.get("type") == resent.RESULT else "code execution"
    return f"[Result of an earlier {what}: {cut(' '.join(texts), _STRAY_TOKENS) or 'an image'}]"
