"""Model servers. One Protocol, one file for each kind of server that answers to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

Request = dict[str, Any]
"""The body of an ordinary Messages request: no server tool, no container, no result block of ours."""
Event = dict[str, Any]
"""One event of an ordinary Messages stream, from `message_start` to `message_stop`."""
Model = dict[str, Any]
"""What a model server says of one of its models. It has an `id`, a string; all else may be missing or odd."""


@dataclass(frozen=True)
class Caller:
    """What the upstream may need to know of who asks."""

    api_key: str | None = None
    betas: tuple[str, ...] = ()


class Upstream(Protocol):
    @property
    def kind(self) -> str:
        """`anthropic`, `openai`, `direct` or `scripted`, or `models` for those of a table."""

    def cites(self, model_id: str) -> bool:
        """Whether a model knows `search_result` blocks, and cites them."""

    def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        """One turn of the model, to `message_stop`. Raises UpstreamError where it cannot get there."""

    async def count_tokens(self, request: Request, caller: Caller) -> int | None:
        """How many tokens the model would read; None where the upstream does not count."""

    async def models(self, caller: Caller) -> list[Model]:
        """The models that there are, newest first where the upstream says so; none where it does not tell."""

    async def model(self, model_id: str, caller: Caller) -> Model | None:
        """The model of that name, which may be another name for one in the list; None where there is none."""
