"""The body of POST /v1/messages, checked as far as Belljar itself depends on it.

Everything else is the model server's business and travels on unchanged, so unknown fields and unknown
blocks are kept. (The SDK's own types are no judge here: they are lazy, and let wrong roles through.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from typing_extensions import TypedDict

from belljar.wire.numbers import WHOLE

TEXT_FORM, BLOCK_FORM = "<text>", "<blocks>"
"""Names of the two forms of `content`. They appear in pydantic's locations, and not in ours."""
ID_FORM, LONG_FORM = "<id>", "<object>"
"""The same of `container`."""
FORMS = frozenset({TEXT_FORM, BLOCK_FORM, ID_FORM, LONG_FORM})


def _content_form(content: object) -> str | None:
    if isinstance(content, str):
        return TEXT_FORM
    return BLOCK_FORM if isinstance(content, list) else None


if TYPE_CHECKING:
    Block = dict[str, Any]
    Tool = dict[str, Any]
else:

    class Block(TypedDict):
        """One content block, kept as the caller sent it."""

        __pydantic_config__ = ConfigDict(extra="allow")
        type: Annotated[str, Field(strict=True)]

    class Tool(TypedDict, total=False):
        """One tool. Client tools need no `type`; server tools have a version in theirs."""

        __pydantic_config__ = ConfigDict(extra="allow")
        type: Annotated[str, Field(strict=True)] | None
        name: Annotated[str, Field(strict=True)]
        description: Annotated[str, Field(strict=True)] | None
        input_schema: dict[str, Any] | None


Content = Annotated[
    Annotated[str, Tag(TEXT_FORM)] | Annotated[list[Block], Tag(BLOCK_FORM)],
    Discriminator(
        _content_form,
        custom_error_type="content_form",
        custom_error_message="Input should be a valid string or a list of content blocks",
    ),
]


class Message(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(extra="allow")

    role: Literal["user", "assistant", "system"]
    content: Content

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """The content as blocks, whichever form it came in."""
        if isinstance(self.content, str):
            return [{"type": "text", "text": self.content}]
        return self.content


class ContainerParameter(BaseModel):
    """The long form of `container`."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[str, Field(strict=True)] | None = None
    skills: list[dict[str, Any]] | None = None
    runtime: Annotated[str, Field(strict=True)] | None = None
    """What a new container runs code in; an extension of ours."""


def _container_form(container: object) -> str | None:
    if isinstance(container, str):
        return ID_FORM
    return LONG_FORM if isinstance(container, dict | ContainerParameter) else None


Container = Annotated[
    Annotated[str, Tag(ID_FORM)] | Annotated[ContainerParameter, Tag(LONG_FORM)],
    Discriminator(
        _container_form,
        custom_error_type="container_form",
        custom_error_message="Input should be a valid string",
    ),
]


class MessageRequest(BaseModel):
    """What Belljar reads of a request; the rest is in `model_extra` and goes to the upstream."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, Field(strict=True, min_length=1)]
    max_tokens: Annotated[int, Field(strict=True, ge=0), WHOLE]
    messages: Annotated[list[Message], Field(min_length=1, max_length=100_000)]
    system: Content | None = None
    stream: Annotated[bool, Field(strict=True)] | None = None
    container: Container | None = None
    tools: list[Tool] | None = None
    tool_choice: dict[str, Any] | None = None
