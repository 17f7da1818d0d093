"""One conversation with a server: what was said, the container, and what is sent next."""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from belljar import exits
from belljar.client.refused import for_command
from belljar.commands import Failure
from belljar.commands.asking import ask, checked

Block = dict[str, Any]
Event = dict[str, Any]

_TOOL = {"type": "code_execution_20250522", "name": "code_execution"}
"""Python alone: cells are told of while they run, and every model is used to them."""
_HEADERS = {
    "anthropic-beta": "code-execution-2025-05-22,files-api-2025-04-14",
    "belljar-output": "live",
    "belljar-profile": "anthropic",
}
_SHOWN_BYTES = 4_000_000
"""Of a picture that the model is shown as well."""
_SEEN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_PAUSES = 20
"""Answers that the server goes on with, in one."""


@dataclass
class Answer:
    """What a model has said to one message."""

    message: dict[str, Any] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    is_whole: bool = False

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.blocks if block["type"] == "text")

    @property
    def file_ids(self) -> list[str]:
        """Of what code has made, in order."""
        return [
            made["file_id"]
            for block in self.blocks
            if block["type"].endswith("code_execution_tool_result") and isinstance(block["content"], dict)
            for made in block["content"].get("content") or []
        ]


class Conversation:
    """Sends what is said, and keeps what was."""

    def __init__(self, client: httpx2.Client, model: str, max_tokens: int, system: str | None) -> None:
        self._client = client
        self._max_tokens = max_tokens
        self._system = system
        self.model = model
        self.messages: list[dict[str, Any]] = []
        self.container: str | None = None
        self.attached: list[tuple[str, list[Block]]] = []
        """Names of files that go with the next message, and what it says of them."""
        self.made: list[tuple[str, str]] = []
        """What code has made, by id, with its name."""

    def forget(self) -> None:
        """Begin anew, without what was said and without the container."""
        self.messages.clear()
        self.attached.clear()
        self.made.clear()
        self.container = None

    def attach(self, path: Path, uploaded: dict[str, Any]) -> None:
        """Send a file along with what is said next; a picture is shown to the model, too."""
        blocks: list[Block] = [{"type": "container_upload", "file_id": uploaded["id"]}]
        media_type, _ = mimetypes.guess_type(path.name)
        if media_type in _SEEN and path.stat().st_size <= _SHOWN_BYTES:
            data = base64.b64encode(path.read_bytes()).decode()
            source = {"type": "base64", "media_type": media_type, "data": data}
            blocks.append({"type": "image", "source": source})
        self.attached.append((path.name, blocks))

    def say(self, text: str, answer: Answer) -> Iterator[Event]:
        """Send a message; yields the events of the answer as they come, and fills `answer`.

        Where it is given up, or fails, what was said before it stays, and of the answer what was whole. Raises Failure.
        """
        content: list[Block] = [block for _, blocks in self.attached for block in blocks]
        content.append({"type": "text", "text": text})
        asked = {"role": "user", "content": content}
        self.messages.append(asked)
        try:
            yield from self._answered(answer)
            self.attached.clear()
        finally:
            said = [block for block in answer.blocks if _is_said(block, answer)]
            if said:
                self.messages.append({"role": "assistant", "content": said})
            elif not answer.is_whole:
                self.messages.remove(asked)

    def _answered(self, answer: Answer) -> Iterator[Event]:
        for _ in range(_PAUSES):
            so_far = len(answer.blocks)
            for event in self._stream(answer.blocks):
                kind = event["type"]
                if kind == "message_start":
                    answer.message = event["message"]
                elif kind == "content_block_start":
                    answer.blocks.append(dict(event["content_block"]))
                elif kind == "content_block_delta":
                    _add(answer.blocks[-1], event["delta"])
                elif kind == "content_block_stop":
                    _close(answer.blocks[-1])
                elif kind == "message_delta":
                    answer.message |= event["delta"]
                    answer.message["usage"] = answer.message.get("usage", {}) | event.get("usage", {})
                    if container := event["delta"].get("container"):
                        self.container = container["id"]
                yield event
            answer.message["content"] = answer.blocks
            if answer.message.get("stop_reason") != "pause_turn" or len(answer.blocks) == so_far:
                break
        answer.is_whole = True

    def _stream(self, so_far: list[Block]) -> Iterator[Event]:
        """The events of one request; `so_far` is what the model goes on from."""
        messages = [*self.messages, *([{"role": "assistant", "content": so_far}] if so_far else [])]
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self._max_tokens,
            "messages": messages,
            "tools": [_TOOL],
            "stream": True,
        }
        if self._system:
            body["system"] = self._system
        if self.container is not None:
            body["container"] = self.container
        has_ended = False
        with self._client.stream("POST", "/v1/messages", json=body, headers=_HEADERS) as stream:
            if stream.is_error:
                stream.read()
                checked(stream)
            # Not by lines: httpx ends one at characters that may stand in the middle of an event's JSON.
            for sent in httpx2.EventSource(stream, max_event_size=None):
                event = json.loads(sent.data)
                if event["type"] == "error":
                    raise Failure(for_command(str(event["error"]["message"])))
                has_ended = event["type"] == "message_stop"
                if event["type"] != "ping":
                    yield event
        if not has_ended:
            raise Failure("the server broke off in the middle of the answer", exits.NO_SERVER)

    def name_of(self, file_id: str) -> str:
        """Of a file that code has made. Raises Failure."""
        return str(ask(self._client, "GET", f"/v1/files/{file_id}")["filename"])

    def content_of(self, file_id: str) -> bytes:
        return checked(self._client.get(f"/v1/files/{file_id}/content")).content


def _add(block: Block, delta: Block) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "input_json_delta":
            block["written"] = block.get("written", "") + delta["partial_json"]
        case "thinking_delta":
            block["thinking"] = block.get("thinking", "") + delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "citations_delta":
            block.setdefault("citations", []).append(delta["citation"])


def _close(block: Block) -> None:
    if (written := block.pop("written", None)) is not None:
        try:
            block["input"] = json.loads(written) if written else {}
        except ValueError:
            block["input"] = {}  # the server has told the model so


def _is_said(block: Block, answer: Answer) -> bool:
    """Whether the block can stand in a message that is sent again: of an answer that was given up, a use whose result
    has not come cannot, nor can an empty text."""
    if block["type"] == "text":
        return bool(block["text"].strip())
    if answer.is_whole:
        return True
    if block["type"] == "server_tool_use":
        return any(other.get("tool_use_id") == block["id"] for other in answer.blocks)
    return str(block["type"]).endswith("_result")
