"""What the upstream is asked in a turn, and what that took."""

from __future__ import annotations

from typing import Any

from belljar.gateway import tokens, told
from belljar.gateway.answer import Answer
from belljar.gateway.search import citing
from belljar.gateway.tools import BASH, CODE, Offer
from belljar.gateway.turn import Rewriter, added_usage

_NOT_FOR_UPSTREAM = frozenset({"container", "thread", "betas", "diagnostics"})
"""What is ours to read, or names an earlier answer by an id that is ours alone."""


def counted(now: Answer, body: dict[str, Any], turn: Rewriter) -> dict[str, Any]:
    """The usage of a turn, as far as it has come. From here on it is the request's."""
    usage: dict[str, Any] = turn.message.message.get("usage") or {}
    if now.traits.is_model:
        usage |= _uncounted(now, body, turn, usage)
    now.usage = added_usage(now.usage, usage)
    now.asked.activity.meter.upstream(now.usage)
    return usage


def _uncounted(now: Answer, body: dict[str, Any], turn: Rewriter, usage: dict[str, Any]) -> dict[str, int]:
    """An estimate of what the model server has not counted in this turn."""
    found = {}
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    if not any(usage.get(name) for name in names):
        found["input_tokens"] = tokens.estimate(body)
    unread = [*turn.message.broken.values(), *turn.message.unfinished]
    written = tokens.of_blocks(turn.message.blocks) + sum(map(tokens.of_text, unread))
    # What a turn that was cut short has in its start, is a count of hardly anything.
    counted = usage.get("output_tokens")
    is_start = not turn.message.is_counted and isinstance(counted, int) and counted < written
    if written and (is_start or not counted):
        found["output_tokens"] = written
    if found:
        now.asked.activity.meter.is_estimated = True
        now.parts.telemetry.turns_estimated.inc()
    return found


def upstream_request(now: Answer, messages: list[dict[str, Any]]) -> tuple[dict[str, Any], citing.Sources]:
    """The request in the words of a plain Messages server, and the found pages in it that the model can cite."""
    request = now.asked.request
    cites = now.asked.offered.search is not None and now.traits.cites
    messages, sources = citing.sendable(messages, now.most_tokens, cites=cites)
    body = {
        name: value for name, value in (request.model_extra or {}).items() if name not in _NOT_FOR_UPSTREAM
    }
    body |= {"model": request.model, "max_tokens": request.max_tokens, "messages": messages, "stream": True}
    if request.system is not None:
        body["system"] = request.system
    if request.tools:
        body["tools"] = now.asked.offered.for_upstream(_offer(now))
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(now, request.tool_choice)
    return body, sources


def _offer(now: Answer) -> Offer:
    settings, offered = now.parts.settings, now.asked.offered
    limits = now.running.container.limits if now.running.container else settings.limits()
    about = now.parts.runtimes.installed(now.asked.runtime)
    is_beside_shell = BASH in offered.names
    return Offer(
        about,
        limits,
        settings.timeout_seconds,
        is_beside_shell,
        offered.for_code,
        offered.search,
        has_code=CODE in offered.names,
        sees=now.traits.images,
    )


def told_of_container(now: Answer, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with what the container has from earlier requests, for a model that is guided.

    At the very end: all before it stays as it was the last time, and in the model server's cache.
    """
    container = now.running.container
    if not now.traits.is_guided or container is None or now.asked.offered.version is None:
        return messages
    note = told.container_note(container, has_code=CODE in now.asked.offered.names)
    if not note or not messages or messages[-1]["role"] != "user":
        return messages
    last = {**messages[-1], "content": [*messages[-1]["content"], {"type": "text", "text": note}]}
    return [*messages[:-1], last]


def _tool_choice(now: Answer, choice: dict[str, Any]) -> dict[str, Any]:
    """A choice that forces a call would force one in every turn, and the loop would never end."""
    if not now.has_called_tool or choice.get("type") not in {"any", "tool"}:
        return now.asked.offered.choice_for_upstream(choice)
    return {name: value for name, value in choice.items() if name != "name"} | {"type": "auto"}
