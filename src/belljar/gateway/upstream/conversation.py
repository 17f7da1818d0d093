"""What upstreams without a model read off a conversation, and the messages that they answer with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from belljar.gateway.turn import CODE_TOOL
from belljar.gateway.upstream import Request
from belljar.wire.ids import new_id

Block = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """The user's last prompt, and the results of tools that have come in since."""

    prompt: str
    results: list[Block]

    @property
    def last_output(self) -> str:
        """What the last result's code printed: the first text of it."""
        return text_of_result(self.results[-1]) if self.results else ""


def read(request: Request) -> Reading:
    prompt, results = "", []
    for message in request.get("messages") or []:
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        if message.get("role") != "user":
            continue
        answers = [block for block in blocks if block.get("type") == "tool_result"]
        if answers:
            results += answers
        else:
            prompt = "\n".join(block.get("text", "") for block in blocks if block.get("type") == "text")
            results = []
    return Reading(prompt, results)


def text_of_result(result: Block) -> str:
    """The first text in a tool result."""
    content = result.get("content")
    if isinstance(content, str):
        return content
    return next((str(block.get("text", "")) for block in content or [] if block.get("type") == "text"), "")


def offers_code(request: Request) -> bool:
    return any(tool.get("name") == CODE_TOOL for tool in request.get("tools") or [])


def code_block(code: str) -> Block:
    return {"type": "tool_use", "id": new_id("toolu"), "name": CODE_TOOL, "input": {"code": code}}


def message(request: Request, content: list[Block]) -> dict[str, Any]:
    """A message as a model server would have sent it. No model, no tokens."""
    wants_tool = any(block["type"] == "tool_use" for block in content)
    return {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": request.get("model"),
        "content": content,
        "stop_reason": "tool_use" if wants_tool else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 0,
            "output_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }
