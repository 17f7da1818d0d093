"""The client's history in the words of a plain Messages server.

The upstream knows no server tools. So each of our tool uses becomes an ordinary `tool_use`, each result a
`tool_result` in a user message right after it, and an assistant message is cut where its results stood.
What does not fit together is repaired instead of refused: clients cut, merge and interrupt.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from belljar.gateway import earlier
from belljar.gateway.search import resent
from belljar.gateway.tokens import cut
from belljar.gateway.tools import OUR_NAMES
from belljar.gateway.turn import Use, upstream_id
from belljar.wire.messages import Message

Block = dict[str, Any]


_SERVER_USES = frozenset({"server_tool_use", "mcp_tool_use"})
_NEVER_RUN = "It was not run: the conversation went on without it."
_ENDED = (
    "This code was ended: it waited for tools that it had called, and the conversation went on without them."
)
_NO_RESULT = "There is no result of this call in the conversation."


@dataclass(frozen=True)
class Conversation:
    """What the upstream is sent, and what the last assistant message still wants run.

    With something `pending` the conversation ends with that assistant message; `rest` is what the user said after
    it, to be merged behind the results (see `with_results`).
    """

    messages: list[dict[str, Any]]
    pending: list[Use]
    rest: list[Block]
    asked: dict[str, list[str]]
    """The ids of the caller's tools' uses by code that has no result yet, by the id of that code's own use."""
    replies: dict[str, Block]
    """What the last message answers to such uses, by their ids."""


@dataclass
class _Part:
    """One assistant message of the upstream's, and the results that follow it."""

    blocks: list[Block] = field(default_factory=list)
    uses: dict[str, None] = field(default_factory=dict)
    """Upstream ids of server-side uses, in order."""
    inputs: dict[str, tuple[str, str, object]] = field(default_factory=dict)
    """By upstream id: the client's id, the tool's name and the input, of uses of our tools."""
    results: dict[str, Block] = field(default_factory=dict)
    waited: frozenset[str] = frozenset()
    """The upstream ids of code that has called tools of the caller's, and so has run in part."""
    _waiting: deque[str] = field(default_factory=deque)
    """Uses in order, the first of those without a result after those that have one by now."""

    def use(self, use_id: str) -> None:
        if use_id not in self.uses:
            self.uses[use_id] = None
            self._waiting.append(use_id)

    def first_unanswered(self) -> str | None:
        while self._waiting and self._waiting[0] in self.results:
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None

    def unanswered(self) -> list[str]:
        return [use for use in self.uses if use not in self.results]


def translate(
    messages: list[Message], our_tools: frozenset[str] = OUR_NAMES, *, upstream_searches: bool = False
) -> Conversation:
    """The conversation for the upstream, to be sent by way of `citing.sendable`. Whatever is typed for server tools
    has another form in it, but for searches that the upstream has made itself, where it does that.

    Uses of `our_tools` that have no result can be run yet.
    """
    asked, replies = _calls_of_code(messages)
    kept = resent.of_upstream(messages) if upstream_searches else frozenset()
    contents = [resent.without_nested(_without_calls(message, asked), kept) for message in messages]
    said = [number for number, blocks in enumerate(contents) if blocks or not messages[number].blocks]
    messages, contents = [messages[number] for number in said], [contents[number] for number in said]
    uses_of: dict[str, list[str]] = {}
    for name, code in asked.items():
        uses_of.setdefault(code, []).append(name)
    waited = frozenset(map(upstream_id, uses_of))
    out: list[dict[str, Any]] = []
    open_part: _Part | None = None
    for number, message in enumerate(messages):
        if message.role == "assistant":
            _append(out, "user", _repairs(open_part))
            open_part = _assistant(out, contents[number], our_tools, kept)
            if open_part:
                open_part.waited = waited
                _adopt(open_part, messages, contents, number + 1)
            continue
        blocks = [_plain(block) for block in contents[number]]
        is_answer = bool(replies) or any(block.get("type") == "tool_result" for block in blocks)
        if open_part and number == len(messages) - 1 and is_answer:
            pending = _pending(open_part)
            rest = _merged(_repairs(open_part, skip=pending), blocks)
            return Conversation(_in_order(out), pending, rest, uses_of, replies)
        if message.role == "user":
            blocks = _merged(_repairs(open_part), blocks)
        else:
            _append(out, "user", _repairs(open_part))
        _append(out, message.role, blocks)
        open_part = None
    if open_part:
        pending = _pending(open_part)
        return Conversation(_in_order(out), pending, _repairs(open_part, skip=pending), uses_of, replies)
    return Conversation(_in_order(out), [], [], uses_of, replies)


def has_results(message: Message) -> bool:
    """Whether an assistant message has results of tools that ran here."""
    return any(earlier.is_result(block.get("type", "")) for block in message.blocks)


def _calls_of_code(messages: list[Message]) -> tuple[dict[str, str], dict[str, Block]]:
    """Uses of the caller's tools by code: of each the id of the code's own use; and what the last message answers.

    The model has never heard of them: it gets to know what the code prints.
    """
    asked = {
        str(block.get("id")): str(block["caller"].get("tool_id"))
        for message in messages
        if message.role == "assistant"
        for block in message.blocks
        if block.get("type") == "tool_use" and resent.is_by_code(block)
    }
    last = messages[-1].blocks if messages[-1].role == "user" else []
    replies = {
        str(block["tool_use_id"]): block
        for block in last
        if block.get("type") == "tool_result" and block.get("tool_use_id") in asked
    }
    return asked, replies


def _without_calls(message: Message, asked: dict[str, str]) -> list[Block]:
    return [
        block
        for block in message.blocks
        if not (block.get("type") == "tool_use" and block.get("id") in asked)
        and not (block.get("type") == "tool_result" and block.get("tool_use_id") in asked)
    ]


def _adopt(part: _Part, messages: list[Message], contents: list[list[Block]], start: int) -> None:
    """Move the results with which the next assistant message begins to the uses that they answer.

    That is how an answer begins that took up code which an earlier one had left to be run.
    """
    later = next((i for i in range(start, len(messages)) if messages[i].role == "assistant"), None)
    if later is None:
        return
    taken = 0
    for block in contents[later]:
        if not (earlier.is_result(block.get("type", "")) and _take_result(part, block)):
            break
        taken += 1
    contents[later] = contents[later][taken:]


def with_results(conversation: Conversation, results: list[Block]) -> list[dict[str, Any]]:
    """The messages with the pending code's `results`, merged with what the user had said after it."""
    out = [{**message, "content": list(message["content"])} for message in conversation.messages]
    _append(out, "user", _merged(results, conversation.rest))
    return _in_order(out)


def tool_result(use_id: str, content: list[Block], *, is_error: bool) -> Block:
    """A result in the upstream's form."""
    block: Block = {"type": "tool_result", "tool_use_id": use_id, "content": content}
    return block | {"is_error": True} if is_error else block


def within(messages: list[dict[str, Any]], most_tokens: int) -> list[dict[str, Any]]:
    """The messages with each result of a tool of ours cut to so many tokens: what is resent is all that was printed."""
    ours = uses_of_ours(messages)
    return [
        {**message, "content": [_cut(block, ours, most_tokens) for block in message["content"]]}
        if message["role"] == "user"
        else message
        for message in messages
    ]


def uses_of_ours(messages: list[dict[str, Any]]) -> set[Any]:
    """The ids of the uses of our tools."""
    return {
        block.get("id")
        for message in messages
        if message["role"] == "assistant"
        for block in message["content"]
        if block.get("type") == "tool_use" and block.get("name") in OUR_NAMES
    }


def _cut(block: Block, ours: set[Any], most_tokens: int) -> Block:
    if block.get("type") != "tool_result" or block.get("tool_use_id") not in ours:
        return block
    content = block.get("content") or ""
    if isinstance(content, str):  # the caller's own result, of a tool of its own that has such a name
        return {**block, "content": cut(content, most_tokens)} if content else block
    content = [
        {**part, "text": cut(part["text"], most_tokens)}
        if part.get("type") == "text" and part.get("text")
        else part
        for part in content
    ]
    return {**block, "content": content}


def _assistant(
    out: list[dict[str, Any]], blocks: list[Block], our_tools: frozenset[str], kept: frozenset[str]
) -> _Part | None:
    """Append one assistant message in parts. The last part is returned where its uses lack results.

    Uses with the ids `kept`, and their results, are the upstream's own: they stay as they are.
    """
    part = _Part()
    for block in blocks:
        kind = block.get("type", "")
        is_kept = block.get("tool_use_id" if earlier.is_result(kind) else "id") in kept
        if earlier.is_result(kind) and not is_kept:
            if not _take_result(part, block):
                part.blocks.append({"type": "text", "text": earlier.stray(block)})
            continue
        if part.results:
            _flush(out, part)
            part = _Part()
        if is_kept:
            part.blocks.append(block)
        else:
            _take(part, block, kind, our_tools)
    if part.unanswered():
        _append(out, "assistant", part.blocks)
        return part
    _flush(out, part)
    return None


def _take(part: _Part, block: Block, kind: str, our_tools: frozenset[str]) -> None:
    if kind in _SERVER_USES:
        use_id = upstream_id(str(block.get("id", "")))
        given = block.get("input")
        part.use(use_id)
        if block.get("name") in our_tools and kind == "server_tool_use":
            part.inputs[use_id] = (str(block.get("id", "")), block["name"], given)
        use = {"type": "tool_use", "id": use_id, "name": block.get("name") or "tool"}
        use["input"] = given if isinstance(given, dict) else {}
        part.blocks.append(_with_cache(use, block))
        return
    if (plain := _plain(block)) and not is_empty(plain):
        part.blocks.append(plain)


def _take_result(part: _Part, block: Block) -> bool:
    named = block.get("tool_use_id")
    if named is not None:
        use_id = upstream_id(str(named))
        if use_id not in part.uses:
            return False
    else:
        # The seed's blocks name no use. A text opens the next result, an image belongs to the one before.
        waiting = part.first_unanswered()
        is_text = (block.get("output") or {}).get("type") != "image"
        if waiting is not None and (is_text or not part.results):
            use_id = waiting
        elif part.results:
            use_id = next(reversed(part.results))
        else:
            return False
    content, is_error = earlier.content_of(block)
    if use_id in part.results:
        before = part.results[use_id]
        is_error = is_error or bool(before.get("is_error"))
        before["content"] += content  # ours; a new list each time would be quadratic
        content = before["content"]
    part.results[use_id] = _with_cache(tool_result(use_id, content, is_error=is_error), block)
    return True


def _flush(out: list[dict[str, Any]], part: _Part) -> None:
    _append(out, "assistant", part.blocks)
    results = [part.results.get(use) or _missing(use, _NO_RESULT) for use in part.uses]
    _append(out, "user", results)


def _pending(part: _Part) -> list[Use]:
    return [Use(use, *part.inputs[use]) for use in part.unanswered() if use in part.inputs]


def _repairs(part: _Part | None, skip: list[Use] | None = None) -> list[Block]:
    """The results of a part that was left open: those there are, and a word for each that is missing."""
    if part is None:
        return []
    left_out = {use.upstream_id for use in skip or []}
    return [
        part.results.get(use) or _missing(use, _ENDED if use in part.waited else _NEVER_RUN)
        for use in part.uses
        if use not in left_out
    ]


def _missing(use_id: str, text: str) -> Block:
    return tool_result(use_id, [{"type": "text", "text": text}], is_error=True)


def _merged(results: list[Block], blocks: list[Block]) -> list[Block]:
    """Tool results stand first in a user message; that is a rule of the Messages API."""
    theirs = [block for block in blocks if block.get("type") == "tool_result"]
    return [*results, *theirs, *(block for block in blocks if block.get("type") != "tool_result")]


def _append(out: list[dict[str, Any]], role: str, blocks: list[Block]) -> None:
    """Append a message, or lengthen the last one where it has the same role; see `_in_order`."""
    if not blocks:
        return
    if out and out[-1]["role"] == role:
        out[-1]["content"] += blocks
    else:
        out.append({"role": role, "content": list(blocks)})


def _in_order(out: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages, once all is appended: in order each time, thousands that become one would take minutes."""
    for message in out:
        if message["role"] == "user":
            message["content"] = _merged([], message["content"])
    return out


def _plain(block: Block) -> Block:
    """A block without what only we, or only the hosted service, put on it."""
    kind = block.get("type", "")
    if kind == "thinking":
        return {name: value for name, value in block.items() if name != "text"}
    if kind == "container_upload":
        text = f"[The user attached the file {block.get('file_id')}; it is not in the container.]"
        return {"type": "text", "text": text}
    if earlier.is_result(kind):
        return {"type": "text", "text": earlier.stray(block)}
    if kind == "server_tool_use":
        return {"type": "text", "text": f"[Code that was to be run: {json.dumps(block.get('input'))}]"}
    return {name: value for name, value in block.items() if name != "caller"}


def is_empty(block: Block) -> bool:
    """Whether the Messages API refuses it where it comes back: a text of white space, thinking that nobody signed."""
    if block.get("type") == "text":
        return not str(block.get("text") or "").strip()
    return block.get("type") == "thinking" and not (
        block.get("thinking") is not None and block.get("signature")
    )


def _with_cache(made: Block, block: Block) -> Block:
    return made | {"cache_control": block["cache_control"]} if block.get("cache_control") else made
