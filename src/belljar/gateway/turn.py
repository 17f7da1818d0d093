"""Folding the events of a stream into a message, and rewriting one turn's events for the client.

Pure: no clock, no I/O. The same fold serves both ends: the upstream's events become the turn that is sent
back to it, and our own events become the message of a client that did not ask for a stream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from belljar.gateway import finite
from belljar.gateway.unfinished import UnfinishedObject
from belljar.wire.ids import new_id

Event = dict[str, Any]
Block = dict[str, Any]

_OURS = "srvtoolu_"
_THEIRS = "toolu_"
_ID_TAIL = re.compile(r"[A-Za-z0-9_]+")
_MOST_COUNTED = 10**12
"""A larger number is no count, and the store could not take it."""
_DIRECT = {"type": "direct"}
"""The `caller` of what the model itself has called."""


def client_id(upstream_id: str) -> str:
    """The id under which the client sees a tool use: `srvtoolu_X` for `toolu_X`, else a new one."""
    tail = upstream_id.removeprefix(_THEIRS)
    if tail != upstream_id and _ID_TAIL.fullmatch(tail):
        return _OURS + tail
    return new_id(_OURS.rstrip("_"))


def upstream_id(client_id: str) -> str:
    """The way back. An id that is not ours is left as it is."""
    tail = client_id.removeprefix(_OURS)
    return _THEIRS + tail if tail != client_id else client_id


@dataclass(frozen=True)
class Use:
    """The model's wish to have a tool of ours run something, under both of its names."""

    upstream_id: str
    client_id: str
    name: str
    """Of the tool."""
    input: object
    """As the model wrote it; a string where it is not JSON."""


@dataclass
class MessageFold:
    """A message, as far as its events have come in."""

    message: dict[str, Any] = field(default_factory=dict)
    content: dict[int, Block] = field(default_factory=dict)
    broken: dict[int, str] = field(default_factory=dict)
    """The raw input of tool uses that is no JSON object, by block index."""
    stopped: bool = False
    is_counted: bool = False
    """The last word on its usage has come."""
    _json: dict[int, str] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        kind = event.get("type")
        if kind == "message_start":
            self.message = {**event["message"]}
            self.message["usage"] = _checked(self.message.get("usage") or {})
        elif kind == "content_block_start":
            self.content[event["index"]] = {**event["content_block"]}
        elif kind == "content_block_delta":
            self._delta(event["index"], event["delta"])
        elif kind == "content_block_stop":
            self._close(event["index"])
        elif kind == "message_delta":
            self.is_counted = True
            beside = {name: value for name, value in event.items() if name not in {"type", "delta", "usage"}}
            self.message.update(beside | (event.get("delta") or {}))
            before = self.message.get("usage") or {}
            # A null says nothing: the count of `message_start` stands.
            last = _checked(event.get("usage") or {}).items()
            self.message["usage"] = before | {
                name: n for name, n in last if n is not None or name not in before
            }
        elif kind == "message_stop":
            self.stopped = True

    @property
    def blocks(self) -> list[Block]:
        return [self.content[index] for index in sorted(self.content)]

    @property
    def unfinished(self) -> list[str]:
        """The raw input of tool uses that are not complete."""
        return list(self._json.values())

    @property
    def stop_reason(self) -> str | None:
        return self.message.get("stop_reason")

    def result(self) -> dict[str, Any]:
        """The whole message, as a client that did not ask for a stream gets it."""
        return {**self.message, "content": self.blocks}

    def _delta(self, index: int, delta: dict[str, Any]) -> None:
        block = self.content[index]
        match delta.get("type"):
            case "text_delta":
                block["text"] = block.get("text", "") + delta["text"]
            case "thinking_delta":
                block["thinking"] = block.get("thinking", "") + delta["thinking"]
            case "signature_delta":
                block["signature"] = block.get("signature", "") + delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or []), delta["citation"]]
            case "compaction_delta":
                block |= {name: value for name, value in delta.items() if name != "type"}
            case "input_json_delta":
                self._json[index] = self._json.get(index, "") + delta["partial_json"]
            case _:
                pass

    def _close(self, index: int) -> None:
        written = self._json.pop(index, "")
        if not written:
            return
        try:
            given = finite.loads(written)
        except (ValueError, RecursionError):
            given = None
        if isinstance(given, dict):
            self.content[index]["input"] = given
        else:
            self.broken[index] = written


@dataclass
class Rewriter:
    """One turn's events as the client sees them: renumbered, and uses of `our_tools` as server tool uses.

    `held` are the block types whose start is held back until they are complete, because the reader expects
    to find everything in the start: the inline profile's clients.
    """

    next_index: int
    our_tools: frozenset[str]
    held: frozenset[str] = frozenset()
    names_callers: bool = False
    """The model may call tools, and code may: so each use says who it was."""
    mends: bool = False
    """Uses of the caller's own tools are held back, and not passed on where their input is no JSON object."""
    cited: Callable[[Block], Block] = lambda citation: citation
    """A citation as the client is to see it."""
    uses: dict[int, Use] = field(default_factory=dict)
    """Of our tools, in this turn, by the upstream's block index."""
    _numbers: dict[int, int] = field(default_factory=dict)
    _fold: MessageFold = field(default_factory=MessageFold)
    _inputs: dict[int, UnfinishedObject] = field(default_factory=dict)
    """Of uses of our tools whose input is passed on as it comes."""

    def rewrite(self, event: Event) -> Iterator[Event]:
        """What goes to the client for one event of the upstream's; envelope events yield nothing."""
        self._fold.add(event)
        kind = event.get("type")
        if kind not in {"content_block_start", "content_block_delta", "content_block_stop"}:
            return
        index = event["index"]
        if kind == "content_block_start":
            block = event["content_block"]
            if block.get("type") == "tool_use" and block.get("name") in self.our_tools:
                self.uses[index] = Use(block["id"], client_id(block["id"]), block["name"], {})
        if self._is_held(index):
            if kind == "content_block_stop":
                yield from self._release(index)
            return
        yield from self._pass(kind, index, event)

    @property
    def message(self) -> MessageFold:
        """The turn itself, in the upstream's own words."""
        return self._fold

    def our_uses(self) -> list[Use]:
        """The uses of our tools, in order, with their inputs."""
        return [
            Use(
                use.upstream_id,
                use.client_id,
                use.name,
                self._fold.broken.get(index, self._fold.content[index].get("input")),
            )
            for index, use in sorted(self.uses.items())
        ]

    def client_uses(self) -> tuple[list[int], dict[int, str]]:
        """Uses of the caller's tools by block index: those that it got; and the raw input of those that it did not."""
        theirs = [
            index
            for index, block in sorted(self._fold.content.items())
            if block.get("type") == "tool_use" and index not in self.uses
        ]
        kept = {
            index: self._fold.broken[index] for index in theirs if self.mends and index in self._fold.broken
        }
        return [index for index in theirs if index not in kept], kept

    def _is_held(self, index: int) -> bool:
        kind = "server_tool_use" if index in self.uses else self._fold.content[index].get("type")
        return kind in self.held or (self.mends and kind == "tool_use")

    def _number(self, index: int) -> int:
        if index not in self._numbers:
            self._numbers[index] = self.next_index
            self.next_index += 1
        return self._numbers[index]

    def _pass(self, kind: str, index: int, event: Event) -> Iterator[Event]:
        number = self._number(index)
        if kind == "content_block_start":
            block = self._server_block(index, {}) if index in self.uses else event["content_block"]
            if self.names_callers and block.get("type") == "tool_use":
                block = {**block, "caller": _DIRECT}
            if block.get("citations"):
                block = {**block, "citations": [self.cited(citation) for citation in block["citations"]]}
            yield {**event, "index": number, "content_block": block}
            return
        if (
            kind == "content_block_delta"
            and event["delta"].get("type") == "input_json_delta"
            and index in self.uses
        ):
            written = event["delta"]["partial_json"]
            passed = self._inputs.setdefault(index, UnfinishedObject()).add(written)
            if written and not passed:
                return
            event = {**event, "delta": {**event["delta"], "partial_json": passed}}
        if kind == "content_block_delta" and event["delta"].get("type") == "citations_delta":
            event = {**event, "delta": {**event["delta"], "citation": self.cited(event["delta"]["citation"])}}
        if kind == "content_block_stop" and index in self.uses:
            yield from self._rest(number, index)
        yield {**event, "index": number}

    def _rest(self, number: int, index: int) -> Iterator[Event]:
        """What is missing in the input that the client has got."""
        passed = self._inputs.get(index)
        if passed is not None and passed.has_begun:
            if rest := passed.rest():
                yield _input_delta(number, rest)
            return
        # An upstream that puts the whole input into the start: the client gets it as a delta.
        given = self._fold.content[index].get("input")
        yield _json_delta(number, given if isinstance(given, dict) else {})

    def _release(self, index: int) -> Iterator[Event]:
        block = self._fold.content[index]
        is_theirs = block.get("type") == "tool_use" and index not in self.uses
        if is_theirs and index in self._fold.broken:
            return
        number = self._number(index)
        if is_theirs:
            yield {"type": "content_block_start", "index": number, "content_block": {**block, "input": {}}}
            yield _json_delta(number, block.get("input") or {})
        elif block.get("type") != "thinking":
            given = block.get("input") or {}
            whole = self._server_block(index, given) if index in self.uses else block
            yield {"type": "content_block_start", "index": number, "content_block": whole}
            yield _json_delta(number, given)
        else:
            yield from _thinking_events(number, block)
        yield {"type": "content_block_stop", "index": number}

    def _server_block(self, index: int, given: object) -> Block:
        return server_use(self.uses[index], given, _DIRECT if self.names_callers else None)


def server_use(use: Use, given: object, caller: Block | None) -> Block:
    """A use of a tool of ours, as the client sees it."""
    block = {"type": "server_tool_use", "id": use.client_id, "name": use.name, "input": given}
    return block | {"caller": caller} if caller else block


def _json_delta(index: int, value: object) -> Event:
    return _input_delta(index, json.dumps(value, ensure_ascii=False))


def _input_delta(index: int, written: str) -> Event:
    delta = {"type": "input_json_delta", "partial_json": written}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _thinking_events(index: int, block: Block) -> Iterator[Event]:
    """A thinking block whose `text`, which no delta can carry, is complete in its start."""
    empty = {**block, "thinking": "", "signature": "", "text": block.get("thinking", "")}
    yield {"type": "content_block_start", "index": index, "content_block": empty}
    for kind in ("thinking", "signature"):
        if block.get(kind):
            delta = {"type": f"{kind}_delta", kind: block[kind]}
            yield {"type": "content_block_delta", "index": index, "delta": delta}


def empty_message(model: str | None, usage: dict[str, Any]) -> dict[str, Any]:
    """A message of the model's with nothing in it yet, under a new id."""
    return {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage,
    }


def whole_block(index: int, block: Block) -> Iterator[Event]:
    """A block that is there at once: its start holds all of it."""
    yield {"type": "content_block_start", "index": index, "content_block": block}
    yield {"type": "content_block_stop", "index": index}


def events_of(message: dict[str, Any], chunk_chars: int = 200) -> Iterator[Event]:
    """A finished message as the stream it could have been. For upstreams that answer all at once."""
    usage = message.get("usage") or {"input_tokens": 0, "output_tokens": 0}
    yield {
        "type": "message_start",
        "message": {**message, "content": [], "stop_reason": None, "usage": usage},
    }
    for index, block in enumerate(message.get("content") or []):
        empty, deltas = _taken_apart(block, chunk_chars)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ends = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    yield {"type": "message_delta", "delta": ends, "usage": usage}
    yield {"type": "message_stop"}


def _taken_apart(block: Block, size: int) -> tuple[Block, list[dict[str, Any]]]:
    match block.get("type"):
        case "text":
            return {**block, "text": ""}, [
                {"type": "text_delta", "text": part} for part in _parts(block["text"], size)
            ]
        case "thinking":
            deltas = [
                {"type": "thinking_delta", "thinking": part} for part in _parts(block["thinking"], size)
            ]
            signature = {"type": "signature_delta", "signature": block.get("signature", "")}
            return {**block, "thinking": "", "signature": ""}, [*deltas, signature]
        case "tool_use":
            written = json.dumps(block["input"], ensure_ascii=False)
            deltas = [
                {"type": "input_json_delta", "partial_json": part} for part in ["", *_parts(written, size)]
            ]
            return {**block, "input": {}}, deltas
        case _:
            return block, []


def _parts(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _checked(usage: dict[str, Any]) -> dict[str, Any]:
    """The same, with counts that can be added up whatever an upstream says."""
    return {name: _counted(value) for name, value in usage.items()}


def _counted(value: Any) -> Any:
    if isinstance(value, dict):
        return _checked(value)
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return min(max(0, value), _MOST_COUNTED) if is_count else value


def added_usage(total: dict[str, Any], turn: dict[str, Any]) -> dict[str, Any]:
    """Usage summed over the turns: numbers are added, all else is the last turn's word."""
    summed = dict(total)
    for name, value in turn.items():
        before = summed.get(name)
        if isinstance(value, dict):
            summed[name] = added_usage(before if isinstance(before, dict) else {}, value)
        elif isinstance(value, int) and not isinstance(value, bool):
            summed[name] = value + (before if isinstance(before, int) else 0)
        elif value is not None or name not in summed:
            summed[name] = value
    return summed
