"""What an endpoint reads of its request."""

from __future__ import annotations

import json
import math
import os
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from belljar.errors import InvalidRequest
from belljar.gateway import blocks, finite, offered, profiles, runtimes
from belljar.gateway.access import Client, shown_key
from belljar.gateway.activity import activity_of
from belljar.gateway.answer import OUTPUT_HEADER, Asked
from belljar.gateway.envelope import ThreadUnsupported, from_validation
from belljar.gateway.files import TenantFiles
from belljar.gateway.parts import Parts
from belljar.gateway.tracing import passed_on
from belljar.gateway.upstream import Caller
from belljar.settings import BY_UPSTREAM
from belljar.wire.messages import ContainerParameter, MessageRequest

M = TypeVar("M", bound=BaseModel)


def parts_of(request: Request) -> Parts:
    """What the application answers with."""
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


def client_of(request: Request) -> Client:
    """Who asks."""
    return activity_of(request.scope).client


def files_of(request: Request) -> TenantFiles:
    """The files of who asks."""
    client = client_of(request)
    return parts_of(request).files.of(client.tenant, client.most_stored_bytes)


def asked_of(request: Request, document: dict[str, Any]) -> Asked:
    """A request for an answer, understood. Raises InvalidRequest, and NotFound for its container."""
    parts = parts_of(request)
    if document.get("thread") is not None:
        raise ThreadUnsupported(
            "thread: this server keeps no threads; send the whole conversation in `messages`"
        )
    asked_for = validated(MessageRequest, document)
    blocks.check(asked_for)
    leaves_search = parts.settings.search == BY_UPSTREAM
    tools = offered.read(asked_for.tools or [], asked_for.tool_choice, leaves_search=leaves_search)
    container_id = _container_id(asked_for.container, tools.version)
    caller = caller_of(request)
    header = request.headers.get(profiles.HEADER)
    profile = profiles.choose(header, parts.settings.profile, tools.version, caller.betas)
    named = (
        parts.placement.named(container_id, client_of(request).tenant) if container_id is not None else None
    )
    field = asked_for.container.runtime if isinstance(asked_for.container, ContainerParameter) else None
    said = field if field is not None else runtime_of(request)
    ruled = parts.upstream.traits(asked_for.model).runtime if tools.version and said is None else None
    runtime = parts.runtimes.chosen(said, named, ruled)
    held = profiles.held_back(
        profile, request.headers.get("x-stainless-lang"), request.headers.get("x-stainless-package-version")
    )
    activity = activity_of(request.scope)
    shows_output = _wants_output(request) and bool(asked_for.stream)
    return Asked(asked_for, container_id, caller, profile, held, tools, activity, shows_output, runtime)


def _wants_output(request: Request) -> bool:
    asked = request.headers.get(OUTPUT_HEADER)
    if asked not in {None, "live"}:
        raise InvalidRequest(f"the header {OUTPUT_HEADER} is {asked!r}; known is: live")
    return asked == "live"


async def document_of(request: Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    """The body as a JSON object. Raises InvalidRequest that names the place where it is none."""
    body = await request.body()
    if may_be_empty and not body.strip():
        return {}
    try:
        document = _parsed(body)
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The request body is not UTF-8: byte {error.start}: {error.reason}") from error
    except (RecursionError, ValueError) as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidRequest("The request body has to be a JSON object")
    if (path := _infinite(document)) is not None:
        raise InvalidRequest(f"{path}: Input should be a finite number")
    return document


def _infinite(value: dict[str, Any] | list[Any]) -> str | None:
    """The path of a number like 1e999, which JSON allows, and which becomes an infinity that JSON has no form for."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, float):
            if not math.isfinite(inner):
                return str(name)
        elif isinstance(inner, dict | list) and (path := _infinite(inner)) is not None:
            return f"{name}.{path}"
    return None


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        # What is rare: half a character, a byte order mark, much nesting; and errors, with the line and column.
        return finite.loads(body)


def validated(model: type[M], document: dict[str, Any]) -> M:
    """The same as a `model`. Raises InvalidRequest."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise from_validation(error) from error


def _container_id(given: str | ContainerParameter | None, version: str | None) -> str | None:
    """The container that is named, in either form. Raises InvalidRequest."""
    if not isinstance(given, ContainerParameter):
        return given
    if version == offered.FIRST_VERSION:
        hint = f"; the runtime is named by the header {runtimes.HEADER}" if given.runtime is not None else ""
        raise InvalidRequest(f"container: Input should be a valid string{hint}")
    if given.skills:
        raise InvalidRequest("container.skills: this server has no skills. Leave them out.")
    return given.id


def _betas(request: Request) -> tuple[str, ...]:
    """The values of `anthropic-beta`, which may be a list, and may be repeated."""
    values = ",".join(request.headers.getlist("anthropic-beta")).split(",")
    return tuple(value.strip() for value in values if value.strip())


def runtime_of(request: Request) -> str | None:
    """The runtime that the request names by its header."""
    return request.headers.get(runtimes.HEADER)


def caller_of(request: Request) -> Caller:
    """Who asks, as the upstream is to know."""
    trace = activity_of(request.scope).trace
    headers = passed_on(request.headers) if trace is None else trace.headers
    return Caller(_api_key(request), _betas(request), headers)


def _api_key(request: Request) -> str | None:
    """The caller's key, where it may be the upstream's; one of ours is not passed on."""
    key = None if client_of(request).has_key else shown_key(request.scope)
    return key.decode("latin-1") if key else None


def container_of(request: Request) -> tuple[str, Client]:
    """The container that a path names, and who asks."""
    container_id = activity_of(request.scope).container_id = request.path_params["id"]
    return container_id, client_of(request)


def at_once(asked: str | None, most: int) -> int:
    """How many programs of a batch run at once: as asked, and as many as there are places for."""
    if asked is None:
        return min(most, 2 * (os.cpu_count() or 1))
    if not re.fullmatch("[0-9]{1,6}", asked) or not 1 <= int(asked) <= most:
        raise InvalidRequest(f"at_once: it has to be a number from 1 to {most} (BELLJAR_MAX_SESSIONS)")
    return int(asked)
