"""The agent loop: ask the model, run the code that it wants run, tell it what came out, until it stops.

The upstream is always streamed, so there is one path: events go out through `emit` as they come in, and a
client that did not ask for a stream gets the same events folded into a message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from belljar import errors
from belljar.builds import DEFAULT
from belljar.gateway import attachments, history, profiles, running, sources, tokens, told
from belljar.gateway.access import Access
from belljar.gateway.activity import Activity
from belljar.gateway.files import TenantFiles
from belljar.gateway.offered import Offered
from belljar.gateway.page import Page
from belljar.gateway.pictures import Pictures, shown_in
from belljar.gateway.profiles import Profile
from belljar.gateway.running import Nested, Replies, Running, Waiting
from belljar.gateway.search import Backend, citing
from belljar.gateway.searching import Searches
from belljar.gateway.sse import Emit, Event
from belljar.gateway.store import Store
from belljar.gateway.telemetry import Telemetry
from belljar.gateway.timeline import Kept, Timelines, answered
from belljar.gateway.told import tell
from belljar.gateway.tools import BASH, CODE, Failed, Offer, Outcome, not_json
from belljar.gateway.turn import Rewriter, Use, added_usage, server_use, whole_block
from belljar.gateway.upstream import Caller, Traits, Upstream
from belljar.gateway.usage import Ledger, money
from belljar.logged import clipped
from belljar.settings import BY_UPSTREAM
from belljar.wire.ids import new_id
from belljar.wire.messages import MessageRequest
from belljar.wire.resources import rfc3339

if TYPE_CHECKING:
    from belljar.gateway.mcp import Endpoint
    from belljar.gateway.spans import Tracing

log = structlog.get_logger("belljar.gateway")

_RUNS_AFTER = frozenset({"tool_use", "end_turn", "pause_turn", None})
"""Stop reasons after which a complete tool use is meant to be run; `max_tokens` is not among them."""
_MESSAGE_FIELDS = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage", "container"}
)
"""What we say ourselves; all else that the upstream says of its last turn is passed on."""
_UNREADABLE_TURNS = 3
"""After so many in a row with nothing but uses that no tool can read, a model will not get it right any more."""
_NO_TOKENS = dict.fromkeys(
    ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"), 0
)
"""What clients add up: numbers all, whatever the upstream leaves out."""
OUTPUT_HEADER = "belljar-output"
"""With the value `live` a stream has events of what code prints and shows, which no SDK knows."""
OUTPUT_EVENT = "belljar_output"
_NOT_FOR_UPSTREAM = frozenset({"container", "thread", "betas", "diagnostics"})
"""What is ours to read, or names an earlier answer by an id that is ours alone."""


@dataclass(frozen=True)
class Parts(running.Parts):
    """What the loop works with."""

    upstream: Upstream
    telemetry: Telemetry
    access: Access
    pictures: Pictures
    search: Backend | None
    ledger: Ledger
    store: Store
    mcp: Endpoint
    timelines: Timelines
    page: Page | None
    """None where the settings want none."""
    tracing: Tracing | None = None

    async def admit(self, activity: Activity) -> None:
        """Have a request that asks a model or runs code leave a row and a timeline. Raises BudgetSpent."""
        await self.ledger.admit(activity.client, activity.meter)
        kept = Kept(activity.request_id, activity.what, activity.meter.at, activity.timeline, activity.meter)
        self.timelines.begin(activity.client.tenant, kept)


@dataclass(frozen=True)
class Asked:
    """One request, understood."""

    request: MessageRequest
    container_id: str | None
    caller: Caller
    profile: Profile
    held: frozenset[str]
    """Block types that are streamed only once they are complete."""
    offered: Offered
    activity: Activity
    shows_output: bool = False
    """The client wants to have what code prints and shows while it runs."""
    runtime: str = DEFAULT
    """What code runs in: that of the container which the request names, else of the one that it gets."""


class ContainerNeeded(errors.InvalidRequest):
    """Code waits in a container, and the request does not say in which."""


@dataclass
class _Answer:
    """The answer, as far as it has come."""

    parts: Parts
    asked: Asked
    emit: Emit
    started_at: float
    traits: Traits
    running: Running = field(init=False)
    next_index: int = 0
    turns: int = 0
    unreadable: int = 0
    """The last turns in a row of whose uses none could be read."""
    usage: dict[str, Any] = field(default_factory=_NO_TOKENS.copy)
    has_started: bool = False
    has_pinged: bool = False
    has_called_tool: bool = False
    is_finished: bool = False

    @property
    def most_tokens(self) -> int:
        """Of one result, for the model."""
        return self.traits.result_tokens or self.parts.settings.result_tokens


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
            await _start(now, asked.request.model, {})
            replies = Replies(conversation.asked, conversation.replies)
            results = await _run(now, conversation.pending, replies)
        if results is None:
            return
        messages = _told_of_container(now, history.with_results(conversation, results))
        while True:
            if results and _is_late(now):
                await _finish(now, {}, "pause_turn")
                return
            turn = await _turn(now, messages)
            uses = turn.our_uses()
            reason = turn.message.stop_reason
            whole, broken = turn.client_uses()
            has_client_tools = bool(whole)
            if uses and not has_client_tools and reason not in _RUNS_AFTER:
                await _refuse(now, uses, str(reason))
                uses = []
            if not (uses or broken) or has_client_tools or reason not in _RUNS_AFTER:
                stop_reason = "tool_use" if uses and has_client_tools and reason is None else reason
                await _refuse_unread(now, uses)
                await now.running.bring_uploads()
                await _finish(now, turn.message.message, stop_reason)
                return
            if _is_late(now) or now.turns >= parts.settings.max_turns:
                await _refuse_unread(now, uses)
                await _finish(now, turn.message.message, "pause_turn")
                return
            results = await _run(now, uses, Replies({}, {}))
            if results is None:
                return
            results += [
                tell(turn.message.content[index]["id"], not_json(written), now.most_tokens)
                for index, written in broken.items()
            ]
            if why := _no_further(now):
                await _give_up(now, why)
                return
            messages = [*messages, _said(turn), {"role": "user", "content": results}]


def _is_late(now: _Answer) -> bool:
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
        messages = _told_of_container(now, history.with_results(conversation, results))
        return _upstream_request(now, messages)[0]


def _answer(parts: Parts, asked: Asked, emit: Emit) -> _Answer:
    """An answer that has not begun. Raises NotFound for a model that there is not: before any code runs for it."""
    return _Answer(parts, asked, emit, anyio.current_time(), parts.upstream.traits(asked.request.model))


def _running(now: _Answer, stack: AsyncExitStack, is_told: Callable[[], bool]) -> Running:
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


async def _begin(now: _Answer) -> history.Conversation:
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


async def _take_up(now: _Answer, conversation: history.Conversation) -> None:
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


async def _turn(now: _Answer, messages: list[dict[str, Any]]) -> Rewriter:
    """One call of the upstream, passed on to the client as it comes."""
    now.turns += 1
    now.asked.activity.meter.turns += 1
    asked = now.asked
    body, sources = _upstream_request(now, messages)
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
                usage = _counted(now, body, turn)
                answered(step, turn.message.message, usage)
                if span is not None:
                    span.answered(turn.message.message, usage)
        now.next_index = turn.next_index
    if now.parts.settings.log_content:
        log.info("the model has said", turn=now.turns, content=clipped(_text(turn.message.blocks)))
    return turn


def _rewriter(now: _Answer, sources: citing.Sources) -> Rewriter:
    asked = now.asked
    return Rewriter(
        now.next_index,
        asked.offered.names,
        asked.held,
        names_callers=bool(asked.offered.for_code),
        mends=now.traits.is_guided,
        cited=sources.translated,
    )


async def _stream(now: _Answer, turn: Rewriter, body: dict[str, Any], caller: Caller) -> None:
    """Pass on the turn that the upstream makes of `body`, as it comes."""
    stream = now.parts.upstream.stream(body, caller)
    async with aclosing(now.parts.telemetry.turn(stream)) as events:  # type: ignore[type-var]
        async for event in events:
            rewritten = list(turn.rewrite(event))
            if event.get("type") == "message_start":
                message = turn.message.message
                await _start(now, message.get("model") or now.asked.request.model, message.get("usage") or {})
            for out in rewritten:
                await _send(now, out)
    if not turn.message.stopped:
        raise errors.UpstreamError("The model server broke off in the middle of its answer.")


def _counted(now: _Answer, body: dict[str, Any], turn: Rewriter) -> dict[str, Any]:
    """The usage of a turn, as far as it has come. From here on it is the request's."""
    usage: dict[str, Any] = turn.message.message.get("usage") or {}
    if now.traits.is_model:
        usage |= _uncounted(now, body, turn, usage)
    now.usage = added_usage(now.usage, usage)
    now.asked.activity.meter.upstream(now.usage)
    return usage


def _uncounted(now: _Answer, body: dict[str, Any], turn: Rewriter, usage: dict[str, Any]) -> dict[str, int]:
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


def _upstream_request(now: _Answer, messages: list[dict[str, Any]]) -> tuple[dict[str, Any], citing.Sources]:
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


def _offer(now: _Answer) -> Offer:
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


def _told_of_container(now: _Answer, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
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


def _tool_choice(now: _Answer, choice: dict[str, Any]) -> dict[str, Any]:
    """A choice that forces a call would force one in every turn, and the loop would never end."""
    if not now.has_called_tool or choice.get("type") not in {"any", "tool"}:
        return now.asked.offered.choice_for_upstream(choice)
    return {name: value for name, value in choice.items() if name != "name"} | {"type": "auto"}


async def _run(now: _Answer, uses: Sequence[Use], replies: Replies) -> list[dict[str, Any]] | None:
    """Run what the uses ask for, in order; returns the results for the upstream.

    None where code waits for the caller's tools: then the answer is finished.
    """
    now.has_called_tool |= bool(uses)
    said = []
    is_readable = False
    async with aclosing(now.running.run(uses, replies)) as outcomes:  # type: ignore[type-var]
        async for use, outcome in outcomes:
            if isinstance(outcome, Waiting):
                await _ask(now, use, outcome)
                return None
            if isinstance(outcome, Nested):
                await _show_nested(now, use, outcome)
                continue
            await _show(now, use, outcome)
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


async def _show_nested(now: _Answer, use: Use, nested: Nested) -> None:
    """A search by code, for clients that know of such uses."""
    search = now.asked.offered.search
    if now.asked.profile != "anthropic" or search is None:
        return
    if nested.is_over and not search.shows_searches_of_code:
        return
    caller = _caller(now, nested.by)
    await _whole(now, server_use(use, use.input, caller))
    for block in profiles.result_blocks(now.asked.profile, use.client_id, use.name, nested.outcome):
        await _whole(now, block | {"caller": caller})


def _caller(now: _Answer, code_use_id: str) -> dict[str, Any]:
    return {"type": now.asked.offered.caller_type, "tool_id": code_use_id}


def _no_further(now: _Answer) -> str:
    """Why the model is not asked again, although it would go on; empty where it is."""
    if now.unreadable >= _UNREADABLE_TURNS:
        return (
            f"the model has called tools {now.unreadable} times in a row with input that cannot be read, and was told "
            "so each time."
        )
    return now.parts.ledger.over_budget(now.asked.activity.client, now.asked.activity.meter)


async def _give_up(now: _Answer, why: str) -> None:
    """End an answer that the model would go on with."""
    text = f"The answer ends here: {why}"
    block = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": text}
    await _send(now, {"type": "content_block_start", "index": now.next_index, "content_block": block})
    await _send(now, {"type": "content_block_delta", "index": now.next_index, "delta": delta})
    await _send(now, {"type": "content_block_stop", "index": now.next_index})
    now.next_index += 1
    await _finish(now, {}, "end_turn")


async def _ask(now: _Answer, use: Use, waiting: Waiting) -> None:
    """End the answer with what code has called."""
    caller = _caller(now, use.client_id)
    for call, name, given in waiting.calls:
        block = {"type": "tool_use", "id": call, "name": name, "input": given, "caller": caller}
        await _whole(now, block)
    await _finish(now, {}, "tool_use")


async def _refuse(now: _Answer, uses: Sequence[Use], reason: str) -> None:
    """Answer uses that are perhaps cut in the middle, so that nobody takes them up later."""
    why = f"It was not run: the answer ended ({reason}) before it was complete."
    for use in uses:
        await _show(now, use, Failed("invalid_tool_input", why))


async def _refuse_unread(now: _Answer, uses: Sequence[Use]) -> None:
    """Answer the uses that are no JSON: what the client has got of them is, and is not to be run by a later request."""
    for use in uses:
        if isinstance(use.input, str):
            await _show(now, use, not_json(use.input))


async def _show(now: _Answer, use: Use, outcome: Outcome) -> None:
    for block in profiles.result_blocks(now.asked.profile, use.client_id, use.name, outcome):
        await _whole(now, block)


async def _whole(now: _Answer, block: dict[str, Any]) -> None:
    for event in whole_block(now.next_index, block):
        await _send(now, event)
    now.next_index += 1


def _text(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, default=str)


def _said(turn: Rewriter) -> dict[str, Any]:
    """The turn as the upstream said it, to be sent back to it."""
    blocks = [
        block for block in turn.message.blocks if block.get("type") != "text" or not history.is_empty(block)
    ]
    return {"role": "assistant", "content": blocks}


async def _start(now: _Answer, model: str, usage: dict[str, Any]) -> None:
    if now.has_started:
        return
    now.has_started = True
    message: dict[str, Any] = {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": added_usage(_NO_TOKENS, usage),
    }
    await now.emit({"type": "message_start", "message": message})


async def _send(now: _Answer, event: Event) -> None:
    await now.emit(event)
    if not now.has_pinged and event["type"] == "content_block_start":
        now.has_pinged = True
        await now.emit({"type": "ping"})


async def _finish(now: _Answer, message: dict[str, Any], stop_reason: str | None) -> None:
    """End the answer. `message` is the upstream's last turn, of which we pass on what we do not say ourselves."""
    delta: dict[str, Any] = {name: message.get(name) for name in ("stop_sequence", "stop_details")}
    delta = {"stop_reason": stop_reason} | delta
    delta |= {name: value for name, value in message.items() if name not in _MESSAGE_FIELDS}
    container = now.running.container
    delta["container"] = container and {"id": container.id, "expires_at": rfc3339(container.expires_at)}
    usage = dict(now.usage)
    if now.asked.offered.tools:
        own = {
            "web_search_requests": now.asked.activity.meter.own_searches,
            "web_fetch_requests": 0,
            "code_execution_requests": now.asked.activity.meter.executions,
        }
        usage = added_usage(usage, {"server_tool_use": own})
    ledger, activity = now.parts.ledger, now.asked.activity
    more: dict[str, Any] = {"estimated": True} if activity.meter.is_estimated else {}
    if ledger.plan is not None:
        micro, _ = ledger.settle(activity.client, activity.meter)
        more |= {"amount": money(micro), "currency": ledger.plan.currency, "plan": ledger.plan.name}
    if more:
        usage["belljar"] = more
    now.is_finished = True
    await now.emit({"type": "message_delta", "delta": delta, "usage": usage})
    await now.emit({"type": "message_stop"})
