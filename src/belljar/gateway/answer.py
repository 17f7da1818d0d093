"""An answer as the client gets it: what was asked, and the events of it as far as they have gone out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from belljar.builds import DEFAULT
from belljar.gateway import profiles
from belljar.gateway.activity import Activity
from belljar.gateway.offered import Offered
from belljar.gateway.parts import Parts
from belljar.gateway.profiles import Profile
from belljar.gateway.running import Nested, Running, Waiting
from belljar.gateway.sse import Emit, Event
from belljar.gateway.tools import Failed, Outcome, not_json
from belljar.gateway.turn import Use, added_usage, empty_message, server_use, whole_block
from belljar.gateway.upstream import Caller, Traits
from belljar.gateway.usage import money
from belljar.wire.messages import MessageRequest
from belljar.wire.resources import rfc3339

_MESSAGE_FIELDS = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage", "container"}
)
"""What we say ourselves; all else that the upstream says of its last turn is passed on."""
_BESIDE_DELTA = ("context_management", "input_transformations")
"""What of that stands in a `message_delta` itself."""
_NO_TOKENS = dict.fromkeys(
    ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"), 0
)
"""What clients add up: numbers all, whatever the upstream leaves out."""
OUTPUT_HEADER = "belljar-output"
"""With the value `live` a stream has events of what code prints and shows, which no SDK knows."""
OUTPUT_EVENT = "belljar_output"


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


@dataclass
class Answer:
    """The answer, as far as it has come."""

    parts: Parts
    asked: Asked
    emit: Emit
    started_at: float
    """On the clock of anyio."""
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

    async def start(self, model: str, usage: dict[str, Any]) -> None:
        """Its first event, once; `usage` as the upstream has it so far."""
        if self.has_started:
            return
        self.has_started = True
        message = empty_message(model, added_usage(_NO_TOKENS, usage))
        await self.emit({"type": "message_start", "message": message})

    async def send(self, event: Event) -> None:
        """An event of a block."""
        await self.emit(event)
        if not self.has_pinged and event["type"] == "content_block_start":
            self.has_pinged = True
            await self.emit({"type": "ping"})

    async def finish(self, message: dict[str, Any], stop_reason: str | None) -> None:
        """End the answer. `message` is the upstream's last turn, of which we pass on what we do not say ourselves."""
        delta: dict[str, Any] = {name: message.get(name) for name in ("stop_sequence", "stop_details")}
        delta = {"stop_reason": stop_reason} | delta
        rest = {name: value for name, value in message.items() if name not in _MESSAGE_FIELDS}
        beside = {name: rest.pop(name) for name in _BESIDE_DELTA if name in rest}
        delta |= rest
        container = self.running.container
        delta["container"] = container and {"id": container.id, "expires_at": rfc3339(container.expires_at)}
        usage = dict(self.usage)
        if self.asked.offered.tools:
            own = {
                "web_search_requests": self.asked.activity.meter.own_searches,
                "web_fetch_requests": 0,
                "code_execution_requests": self.asked.activity.meter.executions,
            }
            usage = added_usage(usage, {"server_tool_use": own})
        ledger, activity = self.parts.ledger, self.asked.activity
        more: dict[str, Any] = {"estimated": True} if activity.meter.is_estimated else {}
        if ledger.plan is not None:
            micro, _ = ledger.settle(activity.client, activity.meter)
            more |= {"amount": money(micro), "currency": ledger.plan.currency, "plan": ledger.plan.name}
        if more:
            usage["belljar"] = more
        self.is_finished = True
        await self.emit({"type": "message_delta", "delta": delta, "usage": usage, **beside})
        await self.emit({"type": "message_stop"})

    async def show_nested(self, use: Use, nested: Nested) -> None:
        """A search by code, for clients that know of such uses."""
        search = self.asked.offered.search
        if self.asked.profile != "anthropic" or search is None:
            return
        if nested.is_over and not search.shows_searches_of_code:
            return
        caller = self._caller(nested.by)
        await self._whole(server_use(use, use.input, caller))
        for block in profiles.result_blocks(self.asked.profile, use.client_id, use.name, nested.outcome):
            await self._whole(block | {"caller": caller})

    def _caller(self, code_use_id: str) -> dict[str, Any]:
        return {"type": self.asked.offered.caller_type, "tool_id": code_use_id}

    async def give_up(self, why: str) -> None:
        """End an answer that the model would go on with."""
        text = f"The answer ends here: {why}"
        block = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": text}
        await self.send({"type": "content_block_start", "index": self.next_index, "content_block": block})
        await self.send({"type": "content_block_delta", "index": self.next_index, "delta": delta})
        await self.send({"type": "content_block_stop", "index": self.next_index})
        self.next_index += 1
        await self.finish({}, "end_turn")

    async def ask(self, use: Use, waiting: Waiting) -> None:
        """End the answer with what code has called."""
        caller = self._caller(use.client_id)
        for call, name, given in waiting.calls:
            block = {"type": "tool_use", "id": call, "name": name, "input": given, "caller": caller}
            await self._whole(block)
        await self.finish({}, "tool_use")

    async def refuse(self, uses: Sequence[Use], reason: str) -> None:
        """Answer uses that are perhaps cut in the middle, so that nobody takes them up later."""
        why = f"It was not run: the answer ended ({reason}) before it was complete."
        for use in uses:
            await self.show(use, Failed("invalid_tool_input", why))

    async def refuse_unread(self, uses: Sequence[Use]) -> None:
        """Answer the uses that are no JSON: what the client has got of them is, and no later request is to run that."""
        for use in uses:
            if isinstance(use.input, str):
                await self.show(use, not_json(use.input))

    async def show(self, use: Use, outcome: Outcome) -> None:
        """What came of a use, in the form that the client knows."""
        for block in profiles.result_blocks(self.asked.profile, use.client_id, use.name, outcome):
            await self._whole(block)

    async def _whole(self, block: dict[str, Any]) -> None:
        for event in whole_block(self.next_index, block):
            await self.send(event)
        self.next_index += 1
