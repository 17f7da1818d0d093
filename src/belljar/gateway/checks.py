"""Asks a model two small questions, the second by the real loop, and finds out what works.

Whatever the model does, a check ends: it has so many tokens, turns and seconds for each. That it never calls the tool,
or talks without end, is found out and not waited for.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import anyio

from belljar.errors import BelljarError
from belljar.gateway import offered
from belljar.gateway.activity import Activity
from belljar.gateway.answer import Asked
from belljar.gateway.loop import answer
from belljar.gateway.parts import Parts
from belljar.gateway.turn import Event, MessageFold
from belljar.gateway.upstream import Caller
from belljar.wire.ids import new_id
from belljar.wire.messages import MessageRequest

MAX_TURNS = 4
"""Of the question with the tool."""
_WORDS_TOKENS = 64
_EXCERPT_CHARS = 100
_NEEDED = frozenset({"connects", "tools offered", "tool called", "result used"})
"""Without these no code is run; Belljar gets by without the others."""


@dataclass(frozen=True)
class Finding:
    """One thing that a model can do, or cannot."""

    name: str
    works: bool | None
    """None where it was not found out."""
    why: str = ""


@dataclass(frozen=True)
class Bounds:
    """What each of the two questions may take."""

    seconds: float
    tokens: int
    """Of a turn, where there is the tool. Models that think first need some of them before the first word."""


@dataclass(frozen=True)
class Checked:
    """What was found out of a model, in the order in which one thing builds on the other."""

    model: str
    findings: list[Finding]

    @property
    def works(self) -> bool:
        return all(one.works for one in self.findings if one.name in _NEEDED)


async def check(parts: Parts, model_id: str, bounds: Bounds) -> Checked:
    words = await _ask_for_words(parts, model_id, bounds)
    connects, streams = words.findings()
    if not connects.works:
        why = "it was not asked"
        rest = [Finding(name, None, why) for name in ("tools offered", "tool called", "result used", "usage")]
        return Checked(model_id, [connects, streams, *rest])
    run = await _ask_for_run(parts, model_id, bounds)
    return Checked(model_id, [connects, streams, *run.findings(), _usage(words, run)])


@dataclass
class _Words:
    """An answer in words, without a tool."""

    fold: MessageFold
    pieces: int = 0
    error: str = ""

    def findings(self) -> tuple[Finding, Finding]:
        if not self.fold.message:
            return Finding("connects", False, self.error), Finding("streams", None, "nothing came")
        connects = Finding("connects", True, self.error)
        if not self.pieces:
            return connects, Finding("streams", None, "it said nothing")
        why = "" if self.pieces > 1 else "its answer came in one piece"
        return connects, Finding("streams", not why, why)


async def _ask_for_words(parts: Parts, model_id: str, bounds: Bounds) -> _Words:
    said = _Words(MessageFold())
    request = {
        "model": model_id,
        "max_tokens": _WORDS_TOKENS,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Count from one to ten, in words."}]}
        ],
        "stream": True,
    }
    with anyio.move_on_after(bounds.seconds) as scope:
        try:
            async with aclosing(parts.upstream.stream(request, Caller())) as events:  # type: ignore[type-var]
                async for event in events:
                    said.fold.add(event)
                    said.pieces += event.get("type") == "content_block_delta"
        except BelljarError as error:
            said.error = str(error)
    if scope.cancelled_caught:
        said.error = _late(said.fold, bounds)
    return said


@dataclass
class _Run:
    """An answer of the real loop, with the tool."""

    fold: MessageFold
    expected: str
    bounds: Bounds
    error: str = ""
    is_late: bool = False
    is_estimated: bool = False

    def findings(self) -> tuple[Finding, Finding, Finding]:
        if not self.fold.message:
            return (
                Finding("tools offered", None if self.is_late else False, self.error),
                Finding("tool called", None, "no answer had begun"),
                Finding("result used", None, "there was none"),
            )
        offer, ran = Finding("tools offered", True), self._ran()
        if not ran.works:
            return offer, ran, Finding("result used", None, "there was none")
        if self.expected in self._text:
            return offer, ran, Finding("result used", True)
        why = self.error or f"it did not say what the code had printed, but {self._excerpt}"
        return offer, ran, Finding("result used", False, why)

    def _ran(self) -> Finding:
        results: list[Any] = [
            block.get("content")
            for block in self.fold.blocks
            if block.get("type") == "code_execution_tool_result"
        ]
        if any(isinstance(result, dict) and result.get("return_code") == 0 for result in results):
            return Finding("tool called", True)
        if results:
            last = results[-1] if isinstance(results[-1], dict) else {}
            said = str(last.get("stderr") or last.get("error_code") or "").strip()
            why = f"what it wrote did not run: {said[-_EXCERPT_CHARS:]}"
        elif self.error:
            why = self.error
        elif self.fold.stop_reason == "max_tokens":
            why = f"it had not called it within {self.bounds.tokens:,} tokens (--max-tokens), but said {self._excerpt}"
        else:
            why = f"it did without, and said {self._excerpt}"
        return Finding("tool called", False, why)

    @property
    def _text(self) -> str:
        return "".join(
            str(block.get("text") or "") for block in self.fold.blocks if block.get("type") == "text"
        )

    @property
    def _excerpt(self) -> str:
        text = self._text.strip()
        return (
            repr(text[:_EXCERPT_CHARS]) + ("…" if len(text) > _EXCERPT_CHARS else "") if text else "nothing"
        )


async def _ask_for_run(parts: Parts, model_id: str, bounds: Bounds) -> _Run:
    secret = secrets.token_hex(8)
    expected = hashlib.sha256(secret.encode()).hexdigest()[:12]
    prompt = (
        "Run this program with the code execution tool, once, then answer with exactly what it has printed:\n\n"
        f"```python\nimport hashlib\nprint(hashlib.sha256(b'{secret}').hexdigest()[:12])\n```"
    )
    request = MessageRequest.model_validate(
        {
            "model": model_id,
            "max_tokens": bounds.tokens,
            "messages": [{"role": "user", "content": prompt}],
            "tools": [{"type": offered.FIRST_VERSION, "name": "code_execution"}],
        }
    )
    tools = offered.read(request.tools or [], None)
    activity = Activity(new_id("req"), f"check {model_id}")
    asked = Asked(request, None, Caller(), "anthropic", frozenset(), tools, activity)
    run = _Run(MessageFold(), expected, bounds)

    async def emit(event: Event) -> None:
        run.fold.add(event)

    with anyio.move_on_after(bounds.seconds) as scope:
        try:
            await answer(parts, asked, emit)
        except BelljarError as error:
            run.error = str(error)
    if scope.cancelled_caught:
        run.is_late, run.error = True, _late(run.fold, bounds)
    run.is_estimated = activity.meter.is_estimated
    return run


def _late(fold: MessageFold, bounds: Bounds) -> str:
    what = "its answer had not ended" if fold.message else "no answer had begun"
    return f"{what} after {bounds.seconds:g} seconds (--seconds)"


def _usage(words: _Words, run: _Run) -> Finding:
    usage = words.fold.message.get("usage") or {}
    if run.is_estimated or not (usage.get("input_tokens") or usage.get("output_tokens")):
        return Finding("usage", False, "the model server does not count: tokens are estimated")
    return Finding("usage", True)
