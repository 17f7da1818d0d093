"""What upstreams without a model read off a conversation, and the messages that they answer with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from belljar.gateway.tools import BASH, CODE
from belljar.gateway.turn import empty_message
from belljar.gateway.upstream import Request
from belljar.wire.ids import new_id

Block = dict[str, Any]

_END = "END_OF_THE_PYTHON_CODE"


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


def offered(request: Request) -> set[str]:
    """The names of the tools that the request offers."""
    return {str(tool.get("name")) for tool in request.get("tools") or []}


def python_use(code: str, names: set[str]) -> Block | None:
    """A use that runs Python code, by what is offered; None where nothing is that could."""
    if CODE in names:
        return use(CODE, {"code": code})
    if BASH in names:
        return use(BASH, {"command": f"python3 - <<'{_END}'\n{code}\n{_END}"})
    return None


def shell_use(command: str, names: set[str]) -> Block | None:
    """A use that runs a shell command, by what is offered; None where nothing is that could."""
    return use(BASH, {"command": command}) if BASH in names else None


def use(name: str, given: dict[str, Any]) -> Block:
    return {"type": "tool_use", "id": new_id("toolu"), "name": name, "input": given}


def message(request: Request, content: list[Block]) -> dict[str, Any]:
    """A message as a model server would have sent it. No model, no tokens."""
    wants_tool = any(block["type"] == "tool_use" for block in content)
    usage = {
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }
    told = {"content": content, "stop_reason": "tool_use" if wants_tool else "end_turn"}
    return empty_message(request.get("model"), usage) | told
