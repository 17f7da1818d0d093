"""The table of models: which there are, at which upstreams, and how these are asked. A TOML file.

[[upstream]]
name = "claude"
kind = "anthropic"                       # or openai, or scripted (with `script` in place of `url`)
url = "https://api.anthropic.com"
key = "env:ANTHROPIC_API_KEY"            # or file:PATH, or caller; never the key itself
timeout_seconds = 300
fallback = "local"                       # asked where this one is down before it has said anything

[[upstream]]
name = "local"
kind = "openai"
url = "http://127.0.0.1:8080"
defaults = { temperature = 0.2 }

[[model]]
id = "claude-*"                          # a name, or a pattern
upstream = "claude"
fallback_name = "qwen3-coder-30b"        # what the model is called at the fallback

[[model]]
id = "fast"
upstream = "local"
name = "qwen3-coder-30b"                 # what it is called there
runtime = "ml"                           # what its code runs in: belljar runtime create ml
fences = true                            # it writes code in Markdown instead of calling tools
result_tokens = 4000                     # of one result; default: BELLJAR_RESULT_TOKENS
image_edge = 1024                        # pictures are made smaller for it: pixels a side
image_bytes = 500_000                    # and bytes; or images = false where it cannot see
defaults = { top_p = 0.9 }
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from belljar.errors import InvalidRequest

CALLER = "caller"
_KEY = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+|caller")
_NAME = re.compile(r"[a-z_]{1,30}|[0-9]{1,6}")
_PATTERN = re.compile(r"[*?\[]")
_SAID_BY_REQUESTS = frozenset({"model", "messages", "system", "tools", "tool_choice", "stream", "container"})


def _key(value: str) -> str:
    if not _KEY.fullmatch(value):
        # Not repeated: it may be the key itself.
        raise ValueError(
            "it says where the key is: `env:NAME`, `file:PATH` or `caller`, never the key itself"
        )
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:  # which repeats it
        raise ValueError("it is no URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it has to begin with http:// or https://, and a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it has a user or password in it; say where the key is by `key`")
    return value


def _defaults(value: dict[str, Any]) -> dict[str, Any]:
    if wrong := _SAID_BY_REQUESTS & set(value):
        raise ValueError(f"{min(wrong)!r} is said by each request, and has no default")
    return value


Defaults = Annotated[dict[str, Any], AfterValidator(_defaults)]


class UpstreamEntry(BaseModel):
    """A model server."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1)]
    kind: Literal["anthropic", "openai", "scripted"]
    url: Annotated[str, AfterValidator(_url)] | None = None
    script: Path | None = None
    key: Annotated[str, AfterValidator(_key)] | None = None
    timeout_seconds: Annotated[float, Field(gt=0)] | None = None
    fallback: str | None = None
    defaults: Defaults = {}

    @model_validator(mode="after")
    def _has_its_place(self) -> Self:
        needed, other = ("script", "url") if self.kind == "scripted" else ("url", "script")
        if getattr(self, needed) is None or getattr(self, other) is not None:
            raise ValueError(f"an upstream of the kind {self.kind!r} has `{needed}`, and no `{other}`")
        return self


class ModelEntry(BaseModel):
    """A model, or all models whose ids fit a pattern."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(min_length=1)]
    upstream: str
    name: str | None = None
    fallback_name: str | None = None
    runtime: Annotated[str, Field(min_length=1)] | None = None
    """What its code runs in, where the request does not say so."""
    fences: bool = False
    """It writes code between Markdown fences instead of calling tools."""
    defaults: Defaults = {}
    result_tokens: Annotated[int, Field(ge=100, strict=True)] | None = None
    """Of one result, in place of BELLJAR_RESULT_TOKENS."""
    images: Annotated[bool, Field(strict=True)] | None = None
    image_edge: Annotated[int, Field(ge=64, le=8000, strict=True)] | None = None
    image_bytes: Annotated[int, Field(ge=10_000, le=32 * 1024 * 1024, strict=True)] | None = None

    @model_validator(mode="after")
    def _has_eyes_for_what_it_is_shown(self) -> Self:
        if self.images is False and (self.image_edge is not None or self.image_bytes is not None):
            raise ValueError(
                "with `images = false` it is shown none: leave `image_edge` and `image_bytes` out"
            )
        return self

    @property
    def traits(self) -> dict[str, Any]:
        """What is said here of the model's traits (`upstream.Traits`)."""
        names = ("runtime", "result_tokens", "images", "image_edge", "image_bytes")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def is_pattern(self) -> bool:
        return _PATTERN.search(self.id) is not None

    def fits(self, model_id: str) -> bool:
        return self.id == model_id or (self.is_pattern and fnmatchcase(model_id, self.id))


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid")

    upstream: Annotated[list[UpstreamEntry], Field(min_length=1)]
    model: Annotated[list[ModelEntry], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        names = [entry.name for entry in self.upstream]
        if len(set(names)) < len(names):
            raise ValueError("two upstreams have the same `name`")
        for model in self.model:
            if model.upstream not in names:
                raise ValueError(
                    f"the model {model.id!r} names an upstream {model.upstream!r} that there is not"
                )
        for entry in self.upstream:
            if entry.fallback is not None and (entry.fallback not in names or entry.fallback == entry.name):
                raise ValueError(f"the upstream {entry.name!r} needs another upstream as its `fallback`")
        return self


def load(path: Path) -> Table:
    """Read a table. Raises InvalidRequest that names the file and the place, and repeats nothing of a key."""
    try:
        return Table.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise InvalidRequest(f"The table of models {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The table of models {path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        # A name that is not known may be a key in the wrong place.
        named = [str(part) for part in first["loc"]]
        place = ".".join(part if _NAME.fullmatch(part) else "…" for part in named)
        says = f"{place}: {first['msg']}" if place else first["msg"]
        raise InvalidRequest(f"The table of models {path} is not as it should be: {says}") from None


def key_of(entry: UpstreamEntry, environment: Mapping[str, str] = os.environ) -> str | None:
    """The key itself. Raises InvalidRequest where it is not to be had, without a word of what was found."""
    if entry.key is None or entry.key == CALLER:
        return None
    where, _, rest = entry.key.partition(":")
    if where == "env":
        found = environment.get(rest, "")
    else:
        try:
            found = Path(rest).expanduser().read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise InvalidRequest(
                f"The key of the upstream {entry.name!r} cannot be read from {rest}: {why}"
            ) from None
    found = found.strip()
    if not found or not found.isascii() or not found.isprintable():
        raise InvalidRequest(
            f"The key of the upstream {entry.name!r} is to come from {entry.key}, and there is none: one line of ASCII "
            "is needed."
        )
    return found
