"""What a model server sends, held against the form that everything behind it relies on.

What is missing and can only have been meant in one way is put in; what makes no sense is the server's failure, told as
one, and no failure of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from belljar.errors import UpstreamError
from belljar.gateway.upstream import Event
from belljar.wire.ids import new_id

_TEXTS = {"text": ("text",), "thinking": ("thinking", "signature")}
"""By the type of a block: its fields that are texts, and grow."""
_GROWING = frozenset(name for names in _TEXTS.values() for name in names)
_GROWS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
"""By the type of a delta: the field with what it adds."""


def checked(events: Iterable[Event]) -> Iterator[Event]:
    """The events of a whole answer. Raises UpstreamError."""
    check = Check()
    for event in events:
        yield from check.events(event)


class Check:
    """One answer's events, one by one, in their order."""

    def __init__(self) -> None:
        self._has_begun = False
        self._open: dict[int, int] = {}
        """By the server's number of a block, ours: some servers number every block 0."""
        self._begun = 0
        self._uses: set[str] = set()

    def events(self, event: Event) -> Iterator[Event]:
        """The event as it may go on, behind what is missing before it. Raises UpstreamError where it makes no sense,
        or not here."""
        checked = self._event(event)
        if checked["type"] == "message_stop":
            # A server that leaves out the end of a block: until it comes nobody knows what a tool use asks for.
            for number in self._open.values():
                yield {"type": "content_block_stop", "index": number}
            self._open.clear()
        yield checked

    def _event(self, event: Event) -> Event:
        kind = _text(event, "type", "event")
        if kind == "message_start":
            if self._has_begun:
                raise _senseless("a second message_start")
            self._has_begun = True
            return {**event, "message": _message(event.get("message"), "message_start.message")}
        if not kind.startswith(("message_", "content_block_")):
            return event
        if not self._has_begun:
            raise _senseless(f"{kind} before message_start")
        if kind == "message_delta":
            delta = {} if event.get("delta") is None else event["delta"]
            usage = event.get("usage")
            return {**event, "delta": _end(delta, "message_delta.delta"), "usage": _usage(usage, kind)}
        return self._of_block(kind, event) if kind.startswith("content_block_") else event

    def _of_block(self, kind: str, event: Event) -> Event:
        index = event.get("index")
        if not isinstance(index, int) or isinstance(index, bool):
            raise _senseless(f"{kind}.index is no number")
        if kind == "content_block_start":
            if index in self._open:
                raise _senseless(f"block {index} begins twice")
            number = self._open[index] = self._begun
            self._begun += 1
            block = block_of(event.get("content_block"))
            block = self._use(block) if block["type"] == "tool_use" else block
            return {**event, "index": number, "content_block": block}
        if index not in self._open:
            raise _senseless(f"{kind} of block {index}, which is not open")
        if kind == "content_block_delta":
            return {**event, "index": self._open[index], "delta": _delta(event.get("delta"))}
        number = self._open.pop(index) if kind == "content_block_stop" else self._open[index]
        return {**event, "index": number}

    def _use(self, block: dict[str, Any]) -> dict[str, Any]:
        """A tool use with an id that no other has in the answer: its result could not be told from the other's."""
        if block["id"] in self._uses:
            block = {**block, "id": new_id("toolu")}
        self._uses.add(block["id"])
        # Some servers begin with an empty text, and all of the input is to come.
        return block if isinstance(block["input"], dict) else {**block, "input": {}}


def block_of(given: Any) -> dict[str, Any]:
    """A block, whole or as it begins. Raises UpstreamError."""
    block = _object(given, "a block")
    kind = _text(block, "type", "block")
    block = block | {
        name: "" for name in {*_TEXTS.get(kind, ()), *block} & _GROWING if block.get(name) is None
    }
    for name in _GROWING & block.keys():
        _text(block, name, kind)
    if kind == "tool_use":
        _text(block, "id", kind)
        _text(block, "name", kind)
        block = block | ({"input": {}} if block.get("input") is None else {})
    citations = block.get("citations")
    if citations is not None and not (
        isinstance(citations, list) and all(isinstance(citation, dict) for citation in citations)
    ):
        raise _senseless("`citations` is no list of objects")
    return block


def _delta(given: Any) -> dict[str, Any]:
    delta = _object(given, "content_block_delta.delta")
    kind = _text(delta, "type", "content_block_delta.delta")
    if kind in _GROWS:
        _text(delta, _GROWS[kind], kind)
    if kind == "citations_delta":
        _object(delta.get("citation"), "citations_delta.citation")
    return delta


def _message(given: Any, where: str) -> dict[str, Any]:
    message = _object(given, where)
    if not isinstance(message.get("model"), str | None):
        raise _senseless(f"{where}.model is no text")
    return {**_end(message, where), "usage": _usage(message.get("usage"), where)}


def _end(given: Any, where: str) -> dict[str, Any]:
    """What is said of a message, with why it has ended."""
    said = _object(given, where)
    if not isinstance(said.get("stop_reason"), str | None):
        raise _senseless(f"{where}.stop_reason is no text")
    return {name: value for name, value in said.items() if name != "usage"}


def _usage(usage: Any, where: str) -> dict[str, Any]:
    return {} if usage is None else _object(usage, f"{where}.usage")


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _senseless(f"{where} is no object")
    return value


def _text(value: dict[str, Any], name: str, where: str) -> str:
    text = value.get(name)
    if not isinstance(text, str):
        raise _senseless(f"{where}.{name} is no text")
    return text


def _senseless(what: str) -> UpstreamError:
    return UpstreamError(f"The model server sent an event that makes no sense: {what}")
