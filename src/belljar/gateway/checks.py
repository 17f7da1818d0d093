"""Asks a model for one small run of code, by the real loop, and sees what works."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from belljar.errors import BelljarError
from belljar.gateway import offered
from belljar.gateway.envelope import Activity
from belljar.gateway.loop import Asked, Parts, answer
from belljar.gateway.turn import Event, MessageFold
from belljar.gateway.upstream import Caller
from belljar.wire.ids import new_id
from belljar.wire.messages import MessageRequest

_MAX_TOKENS = 4096
"""Models that think first need some of them before the first word."""


@dataclass(frozen=True)
class Checked:
    """What a model did. `error` is what went wrong on the way to it, or empty."""

    model: str
    says_text: bool = False
    calls_tool: bool = False
    """Code that it wrote ran to its end."""
    uses_result: bool = False
    """It said what the code had printed, which could not be guessed."""
    error: str = ""

    @property
    def works(self) -> bool:
        return self.says_text and self.calls_tool and self.uses_result


async def check(parts: Parts, model_id: str) -> Checked:
    secret = secrets.token_hex(8)
    expected = hashlib.sha256(secret.encode()).hexdigest()[:12]
    prompt = (
        "Run this program with the code execution tool, once, then answer with exactly what it has printed:\n\n"
        f"```python\nimport hashlib\nprint(hashlib.sha256(b'{secret}').hexdigest()[:12])\n```"
    )
    request = MessageRequest.model_validate(
        {
            "model": model_id,
            "max_tokens": _MAX_TOKENS,
            "messages": [{"role": "user", "content": prompt}],
            "tools": [{"type": offered.FIRST_VERSION, "name": "code_execution"}],
        }
    )
    tools = offered.read(request.tools or [], None)
    activity = Activity(new_id("req"), f"check {model_id}")
    asked = Asked(request, None, Caller(), "anthropic", frozenset(), tools, activity)
    fold = MessageFold()

    async def emit(event: Event) -> None:
        fold.add(event)

    try:
        await answer(parts, asked, emit)
    except BelljarError as error:
        return _seen(model_id, fold, expected, str(error))
    return _seen(model_id, fold, expected, "")


def _seen(model_id: str, fold: MessageFold, expected: str, error: str) -> Checked:
    texts = "".join(str(block.get("text") or "") for block in fold.blocks if block.get("type") == "text")
    results: list[Any] = [
        block.get("content") for block in fold.blocks if block.get("type") == "code_execution_tool_result"
    ]
    ran = any(isinstance(result, dict) and result.get("return_code") == 0 for result in results)
    return Checked(model_id, bool(texts.strip()), ran, ran and expected in texts, error)
