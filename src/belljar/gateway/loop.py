"""The agent loop: ask the model, run the code that it wants run, tell it what came out, until it stops.

The upstream is always streamed, so there is one path: events go out through `emit` as they come in, and a
client that did not ask for a stream gets the same events folded into a message.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from typing import Any

from belljar import errors
from belljar.gateway import attachments, history, profiles
from belljar.gateway.envelope import Activity
from belljar.gateway.files import Files
from belljar.gateway.placement import Container, Placement
from belljar.gateway.profiles import Profile
from belljar.gateway.sse import Emit, Event
from belljar.gateway.store import TENANT
from belljar.gateway.telemetry import Telemetry
from belljar.gateway.tools import code_execution
from belljar.gateway.turn import Rewriter, Use, added_usage, whole_block
from belljar.gateway.upstream import Caller, Upstream
from belljar.settings import Settings
from belljar.wire.ids import new_id
from belljar.wire.messages import MessageRequest
from belljar.wire.resources import rfc3339

_RUNS_AFTER = frozenset({"tool_use", "end_turn", "pause_turn", None})
"""Stop reasons after which a complete tool use is meant to be run; `max_tokens` is not among them."""
_MESSAGE_FIELDS = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage", "container"}
)
"""What we say ourselves; all else that the upstream says of its last turn is passed on."""
_NOT_FOR_UPSTREAM = frozenset({"container", "thread", "betas"})


@dataclass(frozen=True)
class Parts:
    """What the loop works with. Made once, by the application."""

    settings: Settings
    upstream: Upstream
    placement: Placement
    files: Files
    telemetry: Telemetry


@dataclass(frozen=True)
class Asked:
    """One request, understood."""

    request: MessageRequest
    caller: Caller
    profile: Profile
    tool: dict[str, Any] | None
    """The code execution tool as the request declares it."""
    activity: Activity


@dataclass
class _Answer:
    """The answer, as far as it has come."""

    parts: Parts
    asked: Asked
    emit: Emit
    stack: AsyncExitStack
    container: Container | None = None
    put: list[attachments.Attachment] = field(default_factory=list)
    next_index: int = 0
    turns: int = 0
    usage: dict[str, Any] = field(default_factory=dict)
    has_started: bool = False
    has_pinged: bool = False
    has_called_tool: bool = False
    is_finished: bool = False


async def answer(parts: Parts, asked: Asked, emit: Emit) -> None:
    """Answer one request, from `message_start` to `message_stop`.

    Raises UpstreamError where the model server fails, NotFound for a container that is not there, Overloaded
    where no session is to be had.
    """
    async with AsyncExitStack() as stack:
        now = _Answer(parts, asked, emit, stack)
        conversation = await _begin(now)
        results: list[dict[str, Any]] = []
        if conversation.pending and asked.tool is None:
            results = history.not_run(conversation.pending)
        elif conversation.pending:
            await _start(now, asked.request.model, {})
            results = await _run_uses(now, conversation.pending)
        messages = history.with_results(conversation, results)
        while True:
            turn = await _turn(now, messages)
            uses = turn.code_uses()
            reason = turn.message.stop_reason
            has_client_tools = any(
                block.get("type") == "tool_use" and index not in turn.uses
                for index, block in turn.message.content.items()
            )
            if not uses or has_client_tools or reason not in _RUNS_AFTER:
                await _finish(
                    now, turn, "tool_use" if uses and has_client_tools and reason is None else reason
                )
                return
            if now.turns >= parts.settings.max_turns:
                await _finish(now, turn, "pause_turn")
                return
            results = await _run_uses(now, uses)
            messages = [*messages, _said(turn), {"role": "user", "content": results}]


async def _begin(now: _Answer) -> history.Conversation:
    """Look up the container, take the attachments out, put the history into the upstream's words."""
    request = now.asked.request
    if request.container is not None and (container := now.parts.placement.named(request.container)):
        await _hold(now, container)
    messages = request.messages
    if now.asked.tool is not None:
        attached = attachments.attach(messages, now.container.given if now.container else {})
        messages, now.put = attached.messages, attached.files
    return history.translate(messages)


async def _hold(now: _Answer, container: Container) -> Container:
    now.container = await now.stack.enter_async_context(now.parts.placement.hold(container.id))
    now.asked.activity.container_id = container.id
    return now.container


async def _make(now: _Answer) -> Container:
    """A new container. Its id is told when the answer is finished: where that does not come, nobody can use it."""
    container = await now.parts.placement.create(now.parts.settings.limits(), TENANT)

    async def end_unless_told() -> None:
        if not now.is_finished:
            await now.parts.placement.discard(container.id, "the request that made it did not finish")

    now.stack.push_async_callback(end_unless_told)
    return await _hold(now, container)


async def _turn(now: _Answer, messages: list[dict[str, Any]]) -> Rewriter:
    """One call of the upstream, passed on to the client as it comes."""
    now.turns += 1
    asked = now.asked
    turn = Rewriter(now.next_index, asked.tool is not None, profiles.HELD_BACK[asked.profile])
    stream = now.parts.upstream.stream(_upstream_request(now, messages), asked.caller)
    async with aclosing(stream) as events:  # type: ignore[type-var]
        async for event in events:
            try:
                rewritten = list(turn.rewrite(event))
            except (KeyError, TypeError, AttributeError) as error:
                raise errors.UpstreamError(
                    f"The model server sent an event that makes no sense: {error!r}"
                ) from error
            if event.get("type") == "message_start":
                message = event["message"]
                await _start(now, message.get("model") or asked.request.model, message.get("usage") or {})
            for out in rewritten:
                await _send(now, out)
    if not turn.message.stopped:
        raise errors.UpstreamError("The model server broke off in the middle of its answer.")
    now.next_index = turn.next_index
    now.usage = added_usage(now.usage, turn.message.message.get("usage") or {})
    return turn


def _upstream_request(now: _Answer, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The request in the words of a plain Messages server."""
    request = now.asked.request
    body = {
        name: value for name, value in (request.model_extra or {}).items() if name not in _NOT_FOR_UPSTREAM
    }
    body |= {"model": request.model, "max_tokens": request.max_tokens, "messages": messages, "stream": True}
    if request.tools:
        body["tools"] = [_definition(now) if tool is now.asked.tool else tool for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(now, request.tool_choice)
    return body


def _definition(now: _Answer) -> dict[str, Any]:
    settings = now.parts.settings
    limits = now.container.limits if now.container else settings.limits()
    about = now.parts.placement.description
    return code_execution.definition(now.asked.tool or {}, about, limits, settings.timeout_seconds)


def _tool_choice(now: _Answer, choice: dict[str, Any]) -> dict[str, Any]:
    """A choice that forces a call would force one in every turn, and the loop would never end."""
    if not now.has_called_tool or choice.get("type") not in {"any", "tool"}:
        return choice
    return {name: value for name, value in choice.items() if name != "name"} | {"type": "auto"}


async def _run_uses(now: _Answer, uses: list[Use]) -> list[dict[str, Any]]:
    """Run the code of each use, in order; returns the results for the upstream."""
    now.has_called_tool = True
    results = []
    for use in uses:
        outcome = await _run_code(now, use)
        for block in profiles.result_blocks(now.asked.profile, use.client_id, outcome):
            for event in whole_block(now.next_index, block):
                await _send(now, event)
            now.next_index += 1
        results.append(code_execution.for_model(use.upstream_id, outcome))
    return results


async def _run_code(now: _Answer, use: Use) -> code_execution.Outcome:
    code = code_execution.code_of(use.input)
    if isinstance(code, code_execution.Failed):
        return code
    parts, settings = now.parts, now.parts.settings
    try:
        container = now.container or await _make(now)
        async with parts.placement.use(container.id) as session:
            now.asked.activity.has_run_code = True
            return await code_execution.run(session, code, settings.timeout_seconds, parts.files, now.put)
    except (errors.Overloaded, errors.RateLimited) as error:
        if not now.asked.activity.has_run_code:
            raise
        return code_execution.Failed("too_many_requests", str(error))
    except (
        errors.KeeperLost,
        errors.SessionLost,
        errors.NotFound,
        errors.NotKept,
        errors.JailUnavailable,
    ) as error:
        now.container = None  # code that comes next gets a new one
        return code_execution.unavailable(error)


def _said(turn: Rewriter) -> dict[str, Any]:
    """The turn as the upstream said it, to be sent back to it."""
    blocks = [block for block in turn.message.blocks if block.get("type") != "text" or block.get("text")]
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
        "usage": {"input_tokens": 0, "output_tokens": 0} | usage,
    }
    await now.emit({"type": "message_start", "message": message})


async def _send(now: _Answer, event: Event) -> None:
    await now.emit(event)
    if not now.has_pinged and event["type"] == "content_block_start":
        now.has_pinged = True
        await now.emit({"type": "ping"})


async def _finish(now: _Answer, turn: Rewriter, stop_reason: str | None) -> None:
    message: dict[str, Any] = turn.message.message
    delta: dict[str, Any] = {"stop_reason": stop_reason, "stop_sequence": message.get("stop_sequence")}
    delta |= {name: value for name, value in message.items() if name not in _MESSAGE_FIELDS}
    container = now.container
    delta["container"] = container and {"id": container.id, "expires_at": rfc3339(container.expires_at)}
    usage = {"input_tokens": 0, "output_tokens": 0} | now.usage
    if now.asked.tool is not None:
        usage["server_tool_use"] = {"web_search_requests": 0, "web_fetch_requests": 0}
    now.is_finished = True
    await now.emit({"type": "message_delta", "delta": delta, "usage": usage})
    await now.emit({"type": "message_stop"})
