"""No model: the fenced Python in the user's message is what runs, and fenced shell where a shell is offered."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from belljar.gateway.tools import CODE
from belljar.gateway.turn import events_of
from belljar.gateway.upstream import Caller, Event, Model, Request, Traits
from belljar.gateway.upstream.conversation import Block, message, offered, python_use, read, shell_use

_FENCE = re.compile(
    r"^[ \t]*```(python3?|py|bash|sh|shell)[ \t]*\r?\n(.*?)^[ \t]*```[ \t]*$",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)

HOW_TO_CONNECT = (
    "No model is connected to this Belljar server, so it runs only code that you write yourself: put Python "
    "between ```python and ``` in your message. To connect a model, set ANTHROPIC_API_KEY and start the server "
    "with `belljar serve --upstream anthropic:https://api.anthropic.com` (or set BELLJAR_UPSTREAM to "
    "`anthropic:https://api.anthropic.com`); `anthropic:URL` works with every server that speaks POST /v1/messages, "
    "`openai:URL` with every one that speaks POST /v1/chat/completions."
)
NO_TOOL = (
    "The message holds Python, and the request does not offer the code execution tool: add "
    '{"type": "code_execution_20250522", "name": "code_execution"} to its `tools`.'
)


class DirectUpstream:
    """Plays a model whose only idea is to run, one after the other, the blocks that it was given."""

    kind = "direct"

    def traits(self, model_id: str) -> Traits:
        return Traits(is_model=False)

    async def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        for event in events_of(message(request, answer(request))):
            yield event

    async def count_tokens(self, request: Request, caller: Caller) -> int | None:
        return None

    async def models(self, caller: Caller) -> list[Model]:
        return [{"id": self.kind}]

    async def model(self, model_id: str, caller: Caller) -> Model | None:
        return {"id": self.kind} if model_id == self.kind else None


def fenced(prompt: str, names: set[str]) -> list[Block]:
    """Uses of the tools that are offered (`names`) for what stands between fences."""
    uses = []
    for match in _FENCE.finditer(prompt):
        make = python_use if match[1].lower().startswith("py") else shell_use
        if (found := make(match[2], names)) is not None:
            uses.append(found)
    return uses


def answer(request: Request) -> list[Block]:
    """The content of the next turn."""
    reading = read(request)
    names = offered(request)
    uses = fenced(reading.prompt, names)
    if not uses:
        if CODE not in names and fenced(reading.prompt, {CODE}):
            return [{"type": "text", "text": f"{NO_TOOL}\n\n{HOW_TO_CONNECT}"}]
        return [{"type": "text", "text": HOW_TO_CONNECT}]
    done = len(reading.results)
    failed = bool(reading.results) and bool(reading.results[-1].get("is_error"))
    if done < len(uses) and not failed:
        return [uses[done]]
    output = reading.last_output.strip()
    if failed:
        return [{"type": "text", "text": f"Block {done} of {len(uses)} failed:\n\n{output}"}]
    return [{"type": "text", "text": output}]
