"""The models of the upstream, in the form of the official list, a page at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from belljar.errors import InvalidRequest, NotFound
from belljar.gateway.upstream import Model
from belljar.wire.resources import Lifecycle, ModelDocument, ModelList, rfc3339

MOST = 1000
_USUAL = 20
_SHOWN: frozenset[str] = frozenset({"active", "deprecated"})
"""Retired models are listed only for those who ask for them."""
_WINDOW_NAMES = ("max_input_tokens", "max_model_len", "context_length")
"""Of the longest prompt: as in the official list, in vLLM's, in that of several others."""
_MOST_SECONDS = 253_402_300_799
"""The end of the year 9999, after which there is no RFC 3339."""


@dataclass(frozen=True)
class Asked:
    """What part of the list is asked for."""

    limit: int = _USUAL
    after_id: str | None = None
    before_id: str | None = None
    lifecycles: frozenset[str] = _SHOWN


def asked_for(query: Iterable[tuple[str, str]]) -> Asked:
    """The query of a list. Raises InvalidRequest that names what is wrong."""
    pairs = list(query)
    given = dict(pairs)
    limit = given.get("limit", str(_USUAL))
    if not re.fullmatch("[0-9]{1,6}", limit) or not 1 <= int(limit) <= MOST:
        raise InvalidRequest(f"limit: it has to be a number from 1 to {MOST}")
    lifecycles = frozenset(value for name, value in pairs if name in {"lifecycle", "lifecycle[]"})
    if wrong := lifecycles - frozenset(get_args(Lifecycle)):
        raise InvalidRequest(f"lifecycle: {min(wrong)!r} is none of {', '.join(get_args(Lifecycle))}")
    return Asked(int(limit), given.get("after_id"), given.get("before_id"), lifecycles or _SHOWN)


def page(models: Iterable[Model], asked: Asked, *, searches: bool) -> ModelList:
    """The models after `after_id`, or those right before `before_id`. Raises NotFound where there is no such model."""
    documents = (document_of(model, searches=searches) for model in models)
    shown = [document for document in documents if document.lifecycle in asked.lifecycles]
    start = 0 if asked.after_id is None else _place(shown, asked.after_id, "after_id") + 1
    end = len(shown) if asked.before_id is None else _place(shown, asked.before_id, "before_id")
    asked_part = shown[start:end]
    goes_back = asked.before_id is not None and asked.after_id is None
    data = asked_part[-asked.limit :] if goes_back else asked_part[: asked.limit]
    return ModelList(
        data=data,
        has_more=len(data) < len(asked_part),
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
    )


def document_of(model: Model, *, searches: bool) -> ModelDocument:
    """A model as the official list has it, whatever its server says of it; `searches` says that the web is searched."""
    lifecycle = model.get("lifecycle")
    name = model.get("display_name")
    windows = (_count(model.get(name)) for name in _WINDOW_NAMES)
    return ModelDocument(
        id=model["id"],
        display_name=name if isinstance(name, str) and name else model["id"],
        created_at=_created_at(model),
        lifecycle=cast("Lifecycle", lifecycle) if lifecycle in get_args(Lifecycle) else "active",
        deprecated_at=_text(model.get("deprecated_at")),
        retires_at=_text(model.get("retires_at")),
        line=_text(model.get("line")),
        max_input_tokens=next((window for window in windows if window is not None), None),
        max_tokens=_count(model.get("max_tokens")),
        capabilities=_capabilities(model.get("capabilities"), searches=searches),
    )


def _capabilities(told: object, *, searches: bool) -> dict[str, Any]:
    """What this server does itself is true of every model; of what it leaves to the model, the model's server knows."""
    known = dict(told) if isinstance(told, Mapping) else {}
    return known | {
        "batch": {"supported": False},
        "code_execution": {"supported": True},
        "server_tools": {
            "supported": True,
            "code_execution": {"supported": True},
            "web_search": {"supported": searches},
        },
    }


def _created_at(model: Model) -> str:
    if text := _text(model.get("created_at")):
        return text
    seconds = _count(model.get("created"))
    # The official list has this time, too, where it knows none.
    return rfc3339(1_000_000 * seconds if seconds is not None and seconds <= _MOST_SECONDS else 0)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _place(models: list[ModelDocument], model_id: str, name: str) -> int:
    for place, model in enumerate(models):
        if model.id == model_id:
            return place
    raise NotFound(f"{name}: there is no model {model_id} in this list")
