"""The agent loop: ask the model, run the code that it wants run, tell it what came out, until it stops.

The upstream is always streamed, so there is one path: events go out through `emit` as they come in, and a
client that did not ask for a stream gets the same events folded into a message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, nullcontext
from dataclasses import replace
from typing import Any

import anyio
import structlog

from belljar import errors
from belljar.gateway import asking, attachments, history, sources
from belljar.gateway.answer import OUTPUT_EVENT, Answer, Asked
from belljar.gateway.files import TenantFiles
from belljar.gateway.parts import Parts
from belljar.gateway.pictures import shown_in
from belljar.gateway.running import Nested, Replies, Running, Waiting
from belljar.gateway.search import citing
from belljar.gateway.searching import Searches
from belljar.gateway.sse import Emit, Event
from belljar.gateway.timeline import answered
from belljar.gateway.told import tell
from belljar.gateway.tools import Failed, not_json
from belljar.gateway.turn import Rewriter, Use
from belljar.gateway.upstream import Caller
from belljar.logged import clipped
from belljar.settings import BY_UPSTREAM

log = structlog.get_logger("belljar.gateway")

_RUNS_AFTER = frozenset({"tool_use", "end_turn", "pause_turn", None})
"""Stop reasons after which a complete tool use is meant to be run; `max_tokens` is not among them."""
_UNREADABLE_TURNS = 3
"""After so many in a row with nothing but uses that no tool can read, a model will not get it right any more."""


class ContainerNeeded(errors.InvalidRequest):
    """Code waits in a container, and the request does not say in which."""


async def answer(parts: Parts, asked: Asked, emit: Emit) -> None:
    """Answer one request, from `message_start` to `message_stop`.

    Raises UpstreamError where the model server fails, NotFound for a container that is not there, Overloaded
    where no session is to be had.
    """
    async with AsyncExitStack() as stack:
        now = _answer(parts, asked, emit)
        now.running = _running(now, stack, lambda: now.is_finished)
        if parts.settings.log_content:
            # Those before it have been in the log when they were the last.
            log.info("the client has said", content=clipped(_text(asked.request.messages[-1].model_dump())))
        conversation = await _begin(now)
        await _take_up(now, conversation)
        results: list[dict[str, Any]] | None = []
        if conversation.pending:
            await now.start(asked.request.model, {})
            replies = Replies(conversation.asked, conversation.replies)
            results = await _run(now, conversation.pending, replies)
        if results is None:
            return
        messages = asking.told_of_container(now, history.with_results(conversation, results))
        while True:
            if results and _is_late(now):
                await now.finish({}, "pause_turn")
                return
            turn = await _turn(now, messages)
            uses = turn.our_uses()
            reason = turn.message.stop_reason
            whole, broken = turn.client_uses()
            has_client_tools = bool(whole)
            if uses and not has_client_tools and reason not in _RUNS_AFTER:
                await now.refuse(uses, str(reason))
                uses = []
            if not (uses or broken) or has_client_tools or reason not in _RUNS_AFTER:
                stop_reason = reason or ("tool_use" if has_client_tools else "end_turn")
                await now.refuse_unread(uses)
                await now.running.bring_uploads()
                await now.finish(turn.message.message, stop_reason)
                return
            if _is_late(now) or now.turns >= parts.settings.max_turns:
                await now.refuse_unread(uses)
                await now.finish(turn.message.message, "pause_turn")
                return
            results = await _run(now, uses, Replies({}, {}))
            if results is None:
                return
            results += [
                tell(turn.message.content[index]["id"], not_json(written), now.most_tokens)
                for index, written in broken.items()
            ]
            if why := _no_further(now):
                await now.give_up(why)
                return
            messages = [*messages, _said(turn), {"role": "user", "content": results}]


def _is_late(now: Answer) -> bool:
    """The client may have given up by the time that there is more."""
    return anyio.current_time() - now.started_at > now.parts.settings.pause_seconds


async def first_request(parts: Parts, asked: Asked) -> dict[str, Any]:
    """What the upstream would be asked first. Code that waits to be run counts as not run: nothing runs for this."""
    async with AsyncExitStack() as stack:
        now = _answer(parts, asked, _unheard)
        now.running = _running(now, stack, lambda: True)
        conversation = await _begin(now)
        not_run = Failed("unavailable", "It was not run yet.")
        results = [tell(use.upstream_id, not_run, now.most_tokens) for use in conversation.pending]
        messages = asking.told_of_container(now, history.with_results(conversation, results))
        return asking.upstream_request(now, messages)[0]


def _answer(parts: Parts, asked: Asked, emit: Emit) -> Answer:
    """An answer that has not begun. Raises NotFound for a model that there is not: before any code runs for it."""
    return Answer(parts, asked, emit, anyio.current_time(), parts.upstream.traits(asked.request.model))


def _running(now: Answer, stack: AsyncExitStack, is_told: Callable[[], bool]) -> Running:
    parts, offered = now.parts, now.asked.offered
    searches = Searches(parts.search, offered.search, parts.telemetry) if offered.search is not None else None
    asked = now.asked

    async def tell(use_id: str, output: Event) -> None:
        await now.emit({"type": OUTPUT_EVENT, "tool_use_id": use_id, "output": output})

    tells = tell if asked.shows_output else None
    return Running(
        parts, offered, asked.activity, stack, is_told, searches, now.most_tokens, asked.runtime, tells
    )


async def _unheard(event: Event) -> None:
    """An answer that nobody waits for."""


async def _begin(now: Answer) -> history.Conversation:
    """Look up the container, take the attachments out, put the history into the upstream's words."""
    asked, parts = now.asked, now.parts
    container = None
    if asked.container_id is not None:
        named = parts.placement.named(asked.container_id, asked.activity.client.tenant)
        container = await now.running.hold(named.id) if named is not None else None
    has_code = asked.offered.version is not None
    files = parts.files.of(asked.activity.client.tenant, asked.activity.client.most_stored_bytes)
    most = parts.settings.max_body_bytes
    messages = await sources.filled(files, asked.request.messages, most, has_code=has_code)
    uploaded = attachments.uploads_in(messages)
    given = container.given if container else {}
    if has_code:
        uploads = await _uploads(files, uploaded, len(messages) - 1, set(given.values()))
        attached = attachments.attach(messages, given, uploads)
        now.running.brings = {
            file_id for file_id, path in uploaded.items() if path.startswith(f"messages.{len(messages) - 1}.")
        }
        messages, now.running.put = attached.messages, attached.files
    elif new := [path for path in uploaded.values() if path.startswith(f"messages.{len(messages) - 1}.")]:
        # Of one in history the model was told, when code was offered.
        raise errors.InvalidRequest(
            f"{new[0]}: container_upload needs the code execution tool: add it to `tools`"
        )
    now.has_called_tool = messages[-1].role == "assistant" and history.has_results(messages[-1])
    upstream_searches = parts.settings.search == BY_UPSTREAM
    conversation = history.translate(messages, asked.offered.names, upstream_searches=upstream_searches)
    messages_within = history.within(conversation.messages, now.most_tokens)
    tenant = asked.activity.client.tenant
    return replace(
        conversation, messages=await parts.pictures.in_history(messages_within, now.traits, tenant)
    )


async def _take_up(now: Answer, conversation: history.Conversation) -> None:
    """Have code that waits in the container be that of this conversation, or end."""
    container, pending = now.running.container, now.parts.pending
    waiting = [use for use in conversation.pending if use.client_id in conversation.asked]
    # Of one that was named, and for which another was made or is to be, the model is told that its code is gone.
    if waiting and now.asked.container_id is None:
        raise ContainerNeeded(
            "container: container_id is required when there are pending tool uses generated by code execution with "
            "tools. Send the `container` of the answer in which the code has called them; where that is gone, so is "
            "the code: leave out that answer, and what comes after it."
        )
    if container is not None and not any(pending.find(container.id, use.client_id) for use in waiting):
        await pending.drop(container.id)  # the conversation goes on without it


async def _uploads(
    files: TenantFiles, wanted: Mapping[str, str], last: int, given: set[str]
) -> dict[str, attachments.Upload | None]:
    """The uploads that are named. Raises NotFound where the last message names one that is nowhere any more."""
    found: dict[str, attachments.Upload | None] = {}
    for file_id, path in wanted.items():
        try:
            file = await files.find(file_id)
            head = await files.head(file, attachments.HEAD_BYTES)
        except errors.NotFound as error:
            if file_id not in given and path.startswith(f"messages.{last}."):
                raise type(error)(f"{path}.file_id: {error}") from error  # with its error_code
            found[file_id] = None  # it was there once: history is sent again and again
            continue
        found[file_id] = attachments.Upload(file.id, file.filename, file.mime_type, file.size_bytes, head)
    return found


async def _turn(now: Answer, messages: list[dict[str, Any]]) -> Rewriter:
    """One call of the upstream, passed on to the client as it comes."""
    now.turns += 1
    now.asked.activity.meter.turns += 1
    asked = now.asked
    body, sources = asking.upstream_request(now, messages)
    trace = asked.activity.trace
    with (
        asked.activity.timeline.turn(asked.request.model) as step,
        nullcontext() if trace is None else trace.turn(now.parts.upstream.kind, body) as span,
    ):
        caller = asked.caller if span is None else replace(asked.caller, trace=span.headers)
        turn = _rewriter(now, sources)
        try:
            await _stream(now, turn, body, caller)
        finally:  # also of a turn that nobody waited for to its end: its tokens were made
            if turn.message.message:
                usage = asking.counted(now, body, turn)
                answered(step, turn.message.message, usage)
                if span is not None:
                    span.answered(turn.message.message, usage)
        now.next_index = turn.next_index
    if now.parts.settings.log_content:
        log.info("the model has said", turn=now.turns, content=clipped(_text(turn.message.blocks)))
    return turn


def _rewriter(now: Answer, sources: citing.Sources) -> Rewriter:
    asked = now.asked
    return Rewriter(
        now.next_index,
        asked.offered.names,
        asked.held,
        names_callers=bool(asked.offered.for_code),
        mends=now.traits.is_guided,
        cited=sources.translated,
    )


async def _stream(now: Answer, turn: Rewriter, body: dict[str, Any], caller: Caller) -> None:
    """Pass on the turn that the upstream makes of `body`, as it comes."""
    stream = now.parts.upstream.stream(body, caller)
    async with aclosing(now.parts.telemetry.turn(stream)) as events:  # type: ignore[type-var]
        async for event in events:
            rewritten = list(turn.rewrite(event))
            if event.get("type") == "message_start":
                message = turn.message.message
                await now.start(message.get("model") or now.asked.request.model, message.get("usage") or {})
            for out in rewritten:
                await now.send(out)
    if not turn.message.stopped:
        raise errors.UpstreamError("The model server broke off in the middle of its answer.")


async def _run(now: Answer, uses: Sequence[Use], replies: Replies) -> list[dict[str, Any]] | None:
    """Run what the uses ask for, in order; returns the results for the upstream.

    None where code waits for the caller's tools: then the answer is finished.
    """
    now.has_called_tool |= bool(uses)
    said = []
    is_readable = False
    async with aclosing(now.running.run(uses, replies)) as outcomes:  # type: ignore[type-var]
        async for use, outcome in outcomes:
            if isinstance(outcome, Waiting):
                await now.ask(use, outcome)
                return None
            if isinstance(outcome, Nested):
                await now.show_nested(use, outcome)
                continue
            await now.show(use, outcome)
            is_readable |= not (isinstance(outcome, Failed) and outcome.error_code == "invalid_tool_input")
            images, tenant = shown_in(outcome), now.asked.activity.client.tenant
            seen = await now.parts.pictures.blocks(images, now.traits, tenant)
            whole = now.running.keep_whole(outcome)
            result = tell(use.upstream_id, outcome, now.most_tokens, whole, seen)
            now.asked.activity.meter.told(result, len(images))
            if now.parts.settings.log_content:
                log.info("a tool was used", tool=use.name, content=clipped(_text([use.input, result])))
            said.append(result)
    now.unreadable = 0 if is_readable else now.unreadable + 1
    return said


def _no_further(now: Answer) -> str:
    """Why the model is not asked again, although it would go on; empty where it is."""
    if now.unreadable >= _UNREADABLE_TURNS:
        return (
            f"the model has called tools {now.unreadable} times in a row with input that cannot be read, and was told "
            "so each time."
        )
    return now.parts.ledger.over_budget(now.asked.activity.client, now.asked.activity.meter)


def _text(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, default=str)


def _said(turn: Rewriter) -> dict[str, Any]:
    """The turn as the upstream said it, to be sent back to it."""
    blocks = [
        block for block in turn.message.blocks if block.get("type") != "text" or not history.is_empty(block)
    ]
    return {"role": "assistant", "content": blocks}
