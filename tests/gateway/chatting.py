"""A chat completions server on the loopback that plays the turns of `serving.Model`, and is strict about requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serving import BreakOff, Model, Raw, Stall, said, told

REASONS = {
    "end_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


@dataclass
class Chunks:
    """These chunks and no others; then `[DONE]`, unless it is forgotten."""

    chunks: list[dict[str, Any]]
    forgets_done: bool = False


class ChatModel(Model):
    """Answers 400 to what breaks a rule of chat completions, so that a wrong translation cannot pass."""

    def turn(self, path: str, body: dict[str, Any] | None) -> Any:
        if body is not None and (wrong := complaint(body)):
            return told({"error": {"message": wrong, "type": "BadRequestError", "code": 400}}, 400)
        return super().turn(path, body)

    def lines(self, turn: Any) -> Iterator[bytes]:
        if isinstance(turn, Raw):
            yield from turn.pieces
            return
        if isinstance(turn, Chunks):
            chunks, ends = turn.chunks, not turn.forgets_done
        elif isinstance(turn, BreakOff | Stall):
            chunks, ends = chunks_of(said(turn.content))[: turn.events], False
        else:
            chunks, ends = chunks_of(turn if isinstance(turn, dict) else said(turn)), True
        for one in chunks:
            yield f"data: {json.dumps(one)}\n\n".encode()
        if ends:
            yield b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"object": "chat.completion.chunk", "model": "model-1-20260101", "choices": [choice], **more}


def call(
    index: int | None, arguments: str, call_id: str | None = None, name: str | None = None
) -> dict[str, Any]:
    """A piece of a call."""
    function = {"arguments": arguments} | ({"name": name} if name else {})
    piece: dict[str, Any] = {"function": function}
    if index is not None:
        piece["index"] = index
    if call_id:
        piece |= {"id": call_id, "type": "function"}
    return piece


def chunks_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message as a completion, in small pieces, those of parallel calls interleaved."""
    chunks = [chunk({"role": "assistant", "content": ""})]
    calls: list[list[dict[str, Any]]] = []
    for block in message["content"]:
        if block["type"] == "text":
            chunks += [chunk({"content": part}) for part in _pieces(block["text"])]
        elif block["type"] == "thinking":
            chunks += [chunk({"reasoning_content": part}) for part in _pieces(block["thinking"])]
        else:
            given = block["input"]
            written = given if isinstance(given, str) else json.dumps(given)
            place = len(calls)
            first = call(place, "", f"call-{place}", block["name"])
            calls.append([first, *(call(place, part) for part in _pieces(written))])
    for turn in range(max(map(len, calls), default=0)):
        chunks += [chunk({"tool_calls": [pieces[turn]]}) for pieces in calls if turn < len(pieces)]
    chunks.append(chunk({}, REASONS[message["stop_reason"]]))
    usage = {
        "prompt_tokens": 101,
        "completion_tokens": 10,
        "total_tokens": 111,
        "prompt_tokens_details": {"cached_tokens": 1},
    }
    return [*chunks, {"object": "chat.completion.chunk", "choices": [], "usage": usage}]


def _pieces(text: str) -> list[str]:
    return [text[start : start + 7] for start in range(0, len(text), 7)]


def complaint(body: dict[str, Any]) -> str | None:
    """What a strict server would refuse; None where all is as it should be."""
    waiting: list[str] = []
    seen: set[str] = set()
    for message in body["messages"]:
        role, content = message["role"], message.get("content")
        if role == "tool":
            if message["tool_call_id"] not in waiting:
                return f"a tool message answers {message['tool_call_id']!r}, which no call before it has"
            waiting.remove(message["tool_call_id"])
            if not isinstance(content, str):
                return "the content of a tool message is a string"
            continue
        if waiting:
            return f"the calls {waiting} have no tool message right behind them"
        if role not in {"system", "user", "assistant"}:
            return f"there is no role {role!r}"
        kinds = {"text"} if isinstance(content, str) else {part["type"] for part in content}
        if not kinds <= ({"text", "image_url"} if role == "user" else {"text"}):
            return f"{role}: {kinds}"
        for made in message.get("tool_calls") or []:
            json.loads(made["function"]["arguments"])
            if made["id"] in seen or made["type"] != "function":
                return f"the id {made['id']!r} is there twice"
            seen.add(made["id"])
            waiting.append(made["id"])
    if waiting:
        return f"the calls {waiting} are not answered"
    names = [tool["function"]["name"] for tool in body.get("tools") or []]
    if len(set(names)) < len(names):
        return f"{names}: a name is there twice"
    for tool in body.get("tools") or []:
        if tool["type"] != "function" or not isinstance(tool["function"]["parameters"], dict):
            return f"{tool} is no tool"
    if (
        body.get("stream") is not True
        or not body.get("max_tokens", body.get("max_completion_tokens", 0)) >= 1
    ):
        return "stream, max_tokens"
    return None
