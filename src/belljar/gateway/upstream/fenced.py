"""A model that writes code in Markdown fences instead of calling tools, played as one that calls them.

On the way out there are no tools any more: a note in the system prompt says how to have code run, and earlier uses and
results stand as fences and as text. On the way in the first whole fence of an answer becomes a tool use, and ends the
turn: what such a model writes behind it is mostly what it thinks the code will print. A fence that the model has ended
its answer in is whole, too: small models forget the line that closes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from belljar.gateway.tools import BASH, CODE, OUR_NAMES
from belljar.gateway.upstream import Caller, Event, Model, Request, Traits, Upstream
from belljar.wire.ids import new_id

Block = dict[str, Any]

_OPENING = re.compile(r"^[ \t]*```[ \t]*(\w+)[ \t]*\r?$", re.MULTILINE)
_CLOSING = re.compile(r"^[ \t]*```[ \t]*\r?$", re.MULTILINE)
_FIELDS = {CODE: "code", BASH: "command"}
_LANGUAGES = {
    "python": CODE,
    "python3": CODE,
    "py": CODE,
    "tool_code": CODE,
    "bash": BASH,
    "sh": BASH,
    "shell": BASH,
}
_ENDED = {"end_turn", "stop_sequence"}
"""Reasons for which a model stops that has said all it wanted to."""
_RESULT = "[Output of the code, from the sandbox]"
_GO_ON = (
    "[This is the real output. If it answers the question, say the answer now in words, without a block.]"
)
"""Without it small models write the same program again and again."""


class FencedUpstream:
    """Wraps another upstream."""

    def __init__(self, inner: Upstream) -> None:
        self._inner = inner

    @property
    def kind(self) -> str:
        return self._inner.kind

    def traits(self, model_id: str) -> Traits:
        return replace(self._inner.traits(model_id), cites=False, is_guided=True)

    async def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        names = {str(tool.get("name")) for tool in request.get("tools") or []}
        inner = self._inner.stream(without_tools(request), caller)
        turn = _Turn(names & _FIELDS.keys())
        async with aclosing(inner) as events:  # type: ignore[type-var]
            async for event in events:
                for out in turn.take(event):
                    yield out
                if turn.is_over:
                    return

    async def count_tokens(self, request: Request, caller: Caller) -> int | None:
        return await self._inner.count_tokens(without_tools(request), caller)

    async def models(self, caller: Caller) -> list[Model]:
        return await self._inner.models(caller)

    async def model(self, model_id: str, caller: Caller) -> Model | None:
        return await self._inner.model(model_id, caller)


# -- on the way out -----------------------------------------------------------------------------------------


def without_tools(request: Request) -> Request:
    """The request without our tools, and with a note instead. Tools of the caller's stay: they have no fence."""
    tools = request.get("tools") or []
    ours = [tool for tool in tools if tool.get("name") in _FIELDS]
    others = [tool for tool in tools if tool.get("name") not in OUR_NAMES]
    if not ours and not any(_has_uses(message) for message in request["messages"]):
        return request
    out = {name: value for name, value in request.items() if name not in {"tools", "tool_choice"}}
    if others:
        out["tools"] = others
        if (request.get("tool_choice") or {}).get("name") not in OUR_NAMES and request.get("tool_choice"):
            out["tool_choice"] = request["tool_choice"]
    if ours:
        out["system"] = [*_blocks(request.get("system")), {"type": "text", "text": note(ours)}]
    out["messages"] = [_in_text(message) for message in request["messages"]]
    return out


def note(tools: list[dict[str, Any]]) -> str:
    """How the model has code run, from the tools' own descriptions."""
    parts = []
    for tool in tools:
        language = "python" if tool["name"] == CODE else "bash"
        parts.append(
            f"To run {'Python' if language == 'python' else 'shell commands'}, write one block that begins with a line "
            f"```{language} and ends with a line ```, and stop there: it is run, and you get what it prints. "
            f"{tool.get('description') or ''}"
        )
    parts.append(
        "Never write what code would print: have it run. When you have the answer, give it without such a block."
    )
    return "\n\n".join(parts)


def _has_uses(message: dict[str, Any]) -> bool:
    return any(block.get("type") in {"tool_use", "tool_result"} for block in _blocks(message.get("content")))


def _in_text(message: dict[str, Any]) -> dict[str, Any]:
    blocks: list[Block] = []
    for block in _blocks(message.get("content")):
        if block.get("type") == "tool_use" and block.get("name") in OUR_NAMES:
            blocks.append({"type": "text", "text": _fence(block)})
        elif block.get("type") == "tool_result":
            blocks += _result(block)
        else:
            blocks.append(block)
    return {**message, "content": blocks}


def _fence(use: Block) -> str:
    given = use.get("input") or {}
    name = str(use.get("name"))
    if name in _FIELDS:
        language = "python" if name == CODE else "bash"
        return f"```{language}\n{str(given.get(_FIELDS[name]) or '').rstrip()}\n```"
    return f"```json\n{json.dumps(given, ensure_ascii=False)}\n```"


def _result(block: Block) -> list[Block]:
    content = _blocks(block.get("content"))
    texts = "\n".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
    failed = block.get("is_error")
    said = f"{_RESULT} (it failed)\n{texts}" if failed else f"{_RESULT}\n{texts}\n{_GO_ON}"
    return [{"type": "text", "text": said}, *(part for part in content if part.get("type") != "text")]


def _blocks(content: object) -> list[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list(content) if isinstance(content, list) else []


# -- on the way in ------------------------------------------------------------------------------------------


@dataclass
class _Held:
    """What has come of an open text block and was not passed on yet."""

    text: str = ""
    opening: int | None = None
    """Where the line begins that opens a fence."""
    searched: int = 0
    """Where the first line begins that is not known to be whole, or that was not looked at: a long program comes in
    thousands of pieces, and is not to be searched for its end at each."""

    def without(self, count: int) -> str:
        """Take so many characters from the beginning."""
        taken, self.text = self.text[:count], self.text[count:]
        self.searched = max(0, self.searched - count)
        if self.opening is not None:
            self.opening -= count
        return taken


@dataclass
class _Turn:
    """One answer: text goes on as it comes, but for a line that may open a fence, and what stands in one."""

    names: set[str]
    """Of the tools that can be used by a fence."""
    is_over: bool = False
    _next_index: int = 0
    _numbers: dict[int, int] = field(default_factory=dict)
    _unbegun: dict[int, Event] = field(default_factory=dict)
    """Starts of text blocks of which nothing has come but what may be a fence: that has no empty text before it."""
    _held: dict[int, _Held] = field(default_factory=dict)
    """By the index of an open text block."""
    _left_open: tuple[int, str, re.Match[str]] | None = None
    """The index of a text block that has ended in a fence, what was not passed on of it, and the fence's opening."""

    def take(self, event: Event) -> list[Event]:
        """What becomes of one event."""
        kind = event.get("type")
        if self._left_open is not None:
            return self._after_open(event, *self._left_open)
        if kind == "content_block_start":
            return self._start(event)
        if kind == "content_block_delta":
            return self._delta(event)
        if kind == "content_block_stop":
            return self._stop(event)
        return [event]

    def _start(self, event: Event) -> list[Event]:
        index, block = event["index"], event["content_block"]
        if block.get("type") != "text":
            return [self._begun(event)]
        self._held[index] = _Held()
        self._unbegun[index] = {**event, "content_block": {**block, "text": ""}}
        return self._more(index, str(block["text"])) if block.get("text") else []

    def _begun(self, start: Event) -> Event:
        """The start of a block, with its number in what we pass on."""
        self._numbers[start["index"]] = self._next_index
        self._next_index += 1
        return {**start, "index": self._numbers[start["index"]]}

    def _delta(self, event: Event) -> list[Event]:
        index = event["index"]
        if index in self._held and event["delta"].get("type") == "text_delta":
            return self._more(index, str(event["delta"]["text"]))
        return [*self._unbegun_start(index), {**event, "index": self._numbers[index]}]

    def _stop(self, event: Event) -> list[Event]:
        index = event["index"]
        if index in self._held:
            held = self._held.pop(index)
            out = self._fenced(index, held, held.text + "\n")  # a fence may close with the text
            if self.is_over:
                return out
            opening = self._opening(held, held.text)
            if opening is not None and held.text[opening.end() :].strip():
                self._left_open = (index, held.text, opening)
                return []
            return self._text_to_end(index, held.text)
        return [{**event, "index": self._numbers[index]}]

    def _more(self, index: int, text: str) -> list[Event]:
        held = self._held[index]
        held.text += text
        if "\n" in text:  # without one no line has become whole
            out = self._fenced(index, held, held.text)
            if self.is_over:
                return out
        passed = _certain(held.text) if held.opening is None else held.opening
        if index in self._unbegun and not held.text[:passed].strip():
            passed = 0
        return self._text(index, held.without(passed))

    def _fenced(self, index: int, held: _Held, text: str) -> list[Event]:
        """The use of a whole fence in `text`, which is what is held, behind the text before it; nothing where there is
        none."""
        opening = self._opening(held, text)
        closing = None
        if opening is not None:
            held.opening = opening.start()
            closing = _CLOSING.search(text, max(opening.end() + 1, held.searched))
        if opening is None or closing is None or closing.end() == len(text):
            held.searched = text.rfind("\n") + 1
            return []
        return [
            *self._before_use(index, text[: opening.start()]),
            *self._use(self._tool(opening) or CODE, text[opening.end() + 1 : closing.start()]),
        ]

    def _after_open(self, event: Event, index: int, held: str, opening: re.Match[str]) -> list[Event]:
        """What becomes of a text that ended in a fence, by the event that comes next."""
        self._left_open = None
        if event.get("type") == "message_delta" and event["delta"].get("stop_reason") in _ENDED:
            return [
                *self._before_use(index, held[: opening.start()]),
                *self._use(self._tool(opening) or CODE, held[opening.end() + 1 :], event.get("usage")),
            ]
        return [*self._text_to_end(index, held), *self.take(event)]

    def _opening(self, held: _Held, text: str) -> re.Match[str] | None:
        """The first line that opens a fence, and is complete."""
        start = held.searched if held.opening is None else held.opening
        return next(
            (m for m in _OPENING.finditer(text, start) if self._tool(m) and m.end() < len(text)), None
        )

    def _tool(self, opening: re.Match[str]) -> str | None:
        """The tool that runs what stands in a fence of this language, where it is offered."""
        name = _LANGUAGES.get(opening[1].lower())
        if name == CODE and CODE not in self.names and BASH in self.names:
            return BASH
        return name if name in self.names else None

    def _text(self, index: int, text: str) -> list[Event]:
        if not text:
            return []
        started = self._unbegun_start(index)
        delta = {"type": "text_delta", "text": text}
        return [*started, {"type": "content_block_delta", "index": self._numbers[index], "delta": delta}]

    def _unbegun_start(self, index: int) -> list[Event]:
        return [self._begun(self._unbegun.pop(index))] if index in self._unbegun else []

    def _text_to_end(self, index: int, text: str) -> list[Event]:
        out = [
            *self._text(index, text),
            *self._unbegun_start(index),
        ]  # the model may have written an empty text
        return [*out, {"type": "content_block_stop", "index": self._numbers[index]}]

    def _before_use(self, index: int, text: str) -> list[Event]:
        """The end of the text before a fence; of one in which there is nothing else, nothing."""
        if not text.strip() and index in self._unbegun:
            return []
        return self._text_to_end(index, text)

    def _use(self, name: str, code: str, usage: dict[str, Any] | None = None) -> list[Event]:
        """The events of a use, and of the turn's end; without `usage` the upstream has not told it yet, and is not
        asked any more."""
        self.is_over = True
        number = self._next_index
        block = {"type": "tool_use", "id": new_id("toolu"), "name": name, "input": {}}
        given = json.dumps({_FIELDS[name]: code}, ensure_ascii=False)
        return [
            {"type": "content_block_start", "index": number, "content_block": block},
            {
                "type": "content_block_delta",
                "index": number,
                "delta": {"type": "input_json_delta", "partial_json": given},
            },
            {"type": "content_block_stop", "index": number},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use", "stop_sequence": None},
                # The upstream has not counted yet, and is not asked any more: the loop estimates what is zero.
                "usage": usage or {"output_tokens": 0},
            },
            {"type": "message_stop"},
        ]


def _certain(text: str) -> int:
    """How much of `text` can be passed on: not a last line that may become the opening of a fence."""
    start = text.rfind("\n") + 1
    line = text[start:].lstrip(" \t")
    may_open = line.startswith("```") or "```".startswith(line)
    return start if may_open and line else len(text)
