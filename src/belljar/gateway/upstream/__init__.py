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

IMAGE_EDGE = 1568
"""A model of the Messages API sees no more of a picture than so many pixels a side:
https://platform.claude.com/docs/en/build-with-claude/vision"""
IMAGE_BYTES = 5 * 1024 * 1024 * 3 // 4
"""In base64 these are the 5 MiB that the API takes."""


@dataclass(frozen=True)
class Caller:
    """What the upstream may need to know of who asks."""

    api_key: str | None = None
    betas: tuple[str, ...] = ()
    trace: tuple[tuple[str, str], ...] = ()
    """Headers of W3C's Trace Context."""


@dataclass(frozen=True)
class Traits:
    """What holds for one model: what its server is, and what the operator says of it."""

    is_model: bool = True
    """It reads and writes tokens, counted or not."""
    cites: bool = False
    """It knows `search_result` blocks, and cites them."""
    is_guided: bool = False
    """It is told what its container has from the last time, and is given back what it writes that is no JSON."""
    result_tokens: int | None = None
    """In place of the setting."""
    runtime: str | None = None
    """What its code runs in, where the request does not say so."""
    images: bool = True
    """It can look at pictures."""
    image_edge: int = IMAGE_EDGE
    """The longest side of a picture, in pixels."""
    image_bytes: int = IMAGE_BYTES
    """Of one picture."""


class Upstream(Protocol):
    @property
    def kind(self) -> str:
        """`anthropic`, `openai`, `direct` or `scripted`, or `models` for those of a table."""

    def traits(self, model_id: str) -> Traits:
        """What holds for a model. Raises NotFound where it is known, without asking anybody, that there is none."""

    def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        """One turn of the model, to `message_stop`. Raises UpstreamError where it cannot get there."""

    async def count_tokens(self, request: Request, caller: Caller) -> int | None:
        """How many tokens the model would read; None where the upstream does not count."""

    async def models(self, caller: Caller) -> list[Model]:
        """The models that there are, newest first where the upstream says so; none where it does not tell."""

    async def model(self, model_id: str, caller: Caller) -> Model | None:
        """The model of that name, which may be another name for one in the list; None where there is none."""
