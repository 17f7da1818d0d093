"""The chunks of a chat completion, as the events of a Messages stream. Pure.

A Messages stream has one block open at a time, in order. Chunks come as they like: the arguments of parallel calls in
turns, reasoning beside text. So only the first block that is not finished is streamed; what lies behind it is kept
until it is its turn. Text ends where something else begins, a call only with the answer: more of it can always come.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from belljar.errors import UpstreamError
from belljar.gateway.turn import empty_message
from belljar.gateway.upstream import Event
from belljar.gateway.upstream.server import kind_of
from belljar.wire.ids import new_id

Chunk = dict[str, Any]

SIGNATURE = "belljar:"
"""Begins the signature of thinking that came as reasoning text; behind it stands the field that it came in."""
REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Of DeepSeek, llama.cpp, SGLang and older vLLM; of Ollama, OpenRouter and newer vLLM, of which some send both."""
_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


@dataclass
class _Part:
    """One block of the answer. `waiting` has come in and is not sent yet."""

    kind: Literal["text", "thinking", "tool_use"]
    waiting: list[str] = field(default_factory=list)
    source: str = ""
    """Of thinking: the field that it came in."""
    id: str | None = None
    name: str = ""
    arguments: str = ""
    """Of a call: all of them so far."""
    is_open: bool = False


@dataclass
class Translation:
    """One answer, on its way through."""

    model: str
    stop_sequences: tuple[str, ...] = ()
    is_finished: bool = False
    """Its end was told; what may follow are counts."""
    has_started: bool = False
    _parts: list[_Part] = field(default_factory=list)
    _sent: int = 0
    """Parts that are finished, at the head."""
    _slots: dict[int, _Part] = field(default_factory=dict)
    _reason: str | None = None
    _sequence: str | None = None
    _usage: dict[str, Any] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> Iterator[Event]:
        """What a chunk adds. Raises UpstreamError where it is an error, or makes no sense."""
        if chunk.get("error"):
            raise _error(chunk["error"])
        try:
            yield from self._start(chunk)
            if isinstance(chunk.get("usage"), dict):
                self._usage = _usage(chunk["usage"])
            for choice in chunk.get("choices") or []:
                if choice.get("index") in {0, None}:
                    self._choice(choice)
            yield from self._flush()
        except (AttributeError, TypeError, KeyError, ValueError) as error:
            raise UpstreamError(f"The model server sent a chunk that makes no sense: {error!r}") from error

    def end(self) -> Iterator[Event]:
        """The rest, when all has come in."""
        yield from self._flush(is_last=True)
        has_calls = any(part.kind == "tool_use" for part in self._parts)
        reason = _STOP_REASONS.get(self._reason or "stop", "end_turn")
        if reason in {"end_turn", "tool_use"}:
            # Some servers say `stop` of an answer that ends with calls, and some `tool_calls` of one without.
            reason = "tool_use" if has_calls else "end_turn"
        if reason == "end_turn" and self._sequence is not None:
            reason = "stop_sequence"
        sequence = self._sequence if reason == "stop_sequence" else None
        usage = {"input_tokens": 0, "output_tokens": 0} | self._usage
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        yield {"type": "message_delta", "delta": delta, "usage": usage}
        yield {"type": "message_stop"}

    def _start(self, chunk: Chunk) -> Iterator[Event]:
        if self.has_started:
            return
        self.has_started = True
        usage = {"input_tokens": 0, "output_tokens": 0}
        message = empty_message(str(chunk.get("model") or self.model), usage)
        yield {"type": "message_start", "message": message}

    def _choice(self, choice: dict[str, Any]) -> None:
        # A server that does not stream has the whole in `message`.
        delta = choice.get("delta") or choice.get("message") or {}
        for name in REASONING_FIELDS:
            if isinstance(delta.get(name), str) and delta[name]:
                self._say("thinking", delta[name], name)
                break
        self._content(delta.get("content"))
        self._content(delta.get("refusal"))
        calls = delta.get("tool_calls") or []
        if isinstance(delta.get("function_call"), dict):
            calls = [{"index": 0, "function": delta["function_call"]}]
        for place, call in enumerate(calls):
            self._call(call, place, is_whole="message" in choice)
        if choice.get("finish_reason"):
            self._reason = str(choice["finish_reason"])
            self.is_finished = True
            if choice.get("stop_reason") in self.stop_sequences:  # vLLM's and SGLang's
                self._sequence = choice["stop_reason"]

    def _content(self, content: object) -> None:
        """Text, or, as Mistral has it, parts with text and thinking."""
        if isinstance(content, str):
            self._say("text", content)
        for part in content if isinstance(content, list) else []:
            if part.get("type") == "text":
                self._say("text", part["text"])
            elif part.get("type") == "thinking":
                said = part.get("thinking")
                texts = said if isinstance(said, list) else [{"text": said}]
                self._say("thinking", "".join(str(text.get("text") or "") for text in texts))

    def _say(self, kind: Literal["text", "thinking"], text: str, source: str = "") -> None:
        if not text:
            return
        if not self._parts or self._parts[-1].kind != kind:
            self._parts.append(_Part(kind, source=source))
        self._parts[-1].waiting.append(text)

    def _call(self, call: dict[str, Any], place: int, *, is_whole: bool) -> None:
        function = call.get("function") or {}
        name, call_id = function.get("name") or "", call.get("id") or None
        given = function.get("arguments")
        arguments = given if isinstance(given, str) else json.dumps(given) if given is not None else ""
        part = self._found(call.get("index"), call_id, name)
        if part is None or is_whole:
            part = _Part("tool_use", id=call_id, name=name)
            self._parts.append(part)
        index = call.get("index")
        self._slots[index if isinstance(index, int) else -1 - place] = part
        part.name = part.name or name
        part.id = part.id or call_id
        part.arguments += arguments
        if arguments:
            part.waiting.append(arguments)

    def _found(self, index: object, call_id: str | None, name: str) -> _Part | None:
        """The call that a piece belongs to; None where it begins another one."""
        if isinstance(index, int):
            part = self._slots.get(index)
            if part is None:
                return None
            # Some servers have index 0 on every call, and some another id, or the name again, on every piece.
            is_other = bool(name) and (call_id is None or call_id != part.id)
            return None if is_other and part.name and _is_complete(part, name) else part
        calls = [part for part in self._parts if part.kind == "tool_use"]
        if call_id is not None:
            return next((part for part in reversed(calls) if part.id == call_id), None)
        return None if name or not calls else calls[-1]

    def _flush(self, *, is_last: bool = False) -> Iterator[Event]:
        while self._sent < len(self._parts):
            part, index = self._parts[self._sent], self._sent
            if not part.is_open:
                if part.kind == "tool_use" and not part.name and not is_last:
                    return  # the name is to come
                part.is_open = True
                yield {"type": "content_block_start", "index": index, "content_block": _empty(part)}
            for text in part.waiting:
                yield {"type": "content_block_delta", "index": index, "delta": _delta(part, text)}
            part.waiting.clear()
            if not is_last and (part.kind == "tool_use" or index == len(self._parts) - 1):
                return
            if part.kind == "thinking":
                signature = {"type": "signature_delta", "signature": SIGNATURE + part.source}
                yield {"type": "content_block_delta", "index": index, "delta": signature}
            yield {"type": "content_block_stop", "index": index}
            self._sent += 1


def _is_complete(part: _Part, name: str) -> bool:
    """Whether nothing more can be missing of a call behind which another one seems to begin."""
    if not part.arguments:
        return part.name != name
    try:
        json.loads(part.arguments)
    except ValueError:
        return False
    return True


def _empty(part: _Part) -> dict[str, Any]:
    if part.kind == "text":
        return {"type": "text", "text": ""}
    if part.kind == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}
    # Servers give ids twice, or none, or in forms of their own: ours are unique, and the way back is numbered anew.
    return {"type": "tool_use", "id": new_id("toolu"), "name": part.name or "unnamed", "input": {}}


def _delta(part: _Part, text: str) -> dict[str, Any]:
    match part.kind:
        case "text":
            return {"type": "text_delta", "text": text}
        case "thinking":
            return {"type": "thinking_delta", "thinking": text}
        case "tool_use":
            return {"type": "input_json_delta", "partial_json": text}


def _usage(told: dict[str, Any]) -> dict[str, Any]:
    """Tokens in the Messages API's counts, where those read from a cache are not among `input_tokens`."""
    read = _count(told, "prompt_tokens_details", "cached_tokens")
    usage: dict[str, Any] = {
        "input_tokens": max(0, _count(told, "prompt_tokens") - read),
        "output_tokens": _count(told, "completion_tokens"),
    }
    if read:
        usage["cache_read_input_tokens"] = read
    if thought := _count(told, "completion_tokens_details", "reasoning_tokens"):
        usage["output_tokens_details"] = {"thinking_tokens": thought}
    return usage


def _count(told: Any, *path: str) -> int:
    for name in path:
        told = told.get(name) if isinstance(told, dict) else None
    return told if isinstance(told, int) and not isinstance(told, bool) and told >= 0 else 0


def _error(error: Any) -> UpstreamError:
    told = error if isinstance(error, dict) else {"message": error}
    code = told.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 502
    message = str(told.get("message") or "The model server reported an error without a message.")
    return UpstreamError(message, status=status, kind=kind_of(status))
