"""The endpoints, from top to bottom."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

import belljar
from belljar.batch import lines_of
from belljar.errors import InvalidRequest
from belljar.gateway import batch, executions, loop, profiles
from belljar.gateway.envelope import ThreadUnsupported, activity_of, from_validation
from belljar.gateway.frame import json_bytes
from belljar.gateway.sse import EventStream
from belljar.gateway.store import File
from belljar.gateway.tools import code_execution
from belljar.gateway.turn import CODE_TOOL, MessageFold
from belljar.gateway.upstream import Caller
from belljar.wire.execution import ExecutionRequest, json_of
from belljar.wire.messages import MessageRequest
from belljar.wire.resources import (
    ContainerDeleted,
    ContainerRequest,
    FileDeleted,
    FileDocument,
    Health,
    RuntimeHealth,
    SessionsHealth,
    TierHealth,
    rfc3339,
)

M = TypeVar("M", bound=BaseModel)

_SERVER_TOOLS = {
    "web_search_": "there is no search backend on this server yet",
    "web_fetch_": "this server does not fetch pages",
    "tool_search_tool_": "this server does not search tools",
    "mcp_toolset": "this server does not connect to MCP servers",
}


async def messages(request: Request) -> ASGIApp:
    parts = _parts(request)
    document = await _document(request)
    if document.get("thread") is not None:
        raise ThreadUnsupported(
            "thread: this server keeps no threads; send the whole conversation in `messages`"
        )
    asked_for = _validated(MessageRequest, document)
    tool = _code_tool(asked_for.tools or [])
    betas = _betas(request)
    header = request.headers.get(profiles.HEADER)
    profile = profiles.choose(header, parts.settings.profile, tool.get("type") if tool else None, betas)
    if asked_for.container is not None:
        parts.placement.named(asked_for.container)
    activity = activity_of(request.scope)
    activity.headers[profiles.HEADER] = profile
    activity.headers["belljar-isolation"] = parts.placement.description.isolation.level
    asked = loop.Asked(asked_for, Caller(_api_key(request), betas), profile, tool, activity)
    if asked_for.stream:
        return EventStream(lambda emit: loop.answer(parts, asked, emit), {})
    fold = MessageFold()

    async def add(event: dict[str, Any]) -> None:
        fold.add(event)

    await loop.answer(parts, asked, add)
    return _json(fold.result())


async def create_execution(request: Request) -> Response:
    asked = _validated(ExecutionRequest, await _document(request))
    done = await executions.run(_parts(request), asked, activity_of(request.scope))
    return _json(json_of(done))


async def create_batch(request: Request) -> ASGIApp:
    parts = _parts(request)
    lines = lines_of(await request.body())
    at_once = _at_once(request.query_params.get("at_once"), parts.settings.max_sessions)
    activity = activity_of(request.scope)
    return batch.LineStream(
        lambda emit: batch.answer(parts, lines, at_once, activity, emit), parts.settings.batch_silence_seconds
    )


def _at_once(asked: str | None, most: int) -> int:
    """How many programs of a batch run at once: as asked, and as many as there are places for."""
    if asked is None:
        return min(most, 2 * (os.cpu_count() or 1))
    if not re.fullmatch("[0-9]{1,6}", asked) or not 1 <= int(asked) <= most:
        raise InvalidRequest(f"at_once: it has to be a number from 1 to {most} (BELLJAR_MAX_SESSIONS)")
    return int(asked)


async def create_container(request: Request) -> Response:
    asked = _validated(ContainerRequest, await _document(request, may_be_empty=True))
    return _json(json_of(await executions.create_container(_parts(request), asked)))


async def read_container(request: Request) -> Response:
    return _json(json_of(executions.container_document(_parts(request), request.path_params["id"])))


async def delete_container(request: Request) -> Response:
    container_id = request.path_params["id"]
    await _parts(request).placement.delete(container_id, "it was deleted")
    return _json(json_of(ContainerDeleted(id=container_id)))


async def read_file(request: Request) -> Response:
    file = await _parts(request).files.find(request.path_params["id"])
    return _json(json_of(_file_document(file)))


async def read_file_content(request: Request) -> Response:
    files = _parts(request).files
    file = await files.find(request.path_params["id"])
    headers = {
        "content-disposition": _disposition(file.filename),
        "content-length": str(file.size_bytes),
        # What a run wrote is hostile: no browser may take it for a page of ours.
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
    }
    return StreamingResponse(await files.open(file), headers=headers, media_type=file.mime_type)


async def delete_file(request: Request) -> Response:
    file_id = request.path_params["id"]
    await _parts(request).files.remove(file_id)
    return _json(json_of(FileDeleted(id=file_id)))


async def health(request: Request) -> Response:
    parts = _parts(request)
    about, load = parts.placement.description, parts.placement.load
    answer = Health(
        status="ok" if parts.placement.is_ready else "degraded",
        version=belljar.__version__,
        isolation=about.isolation,
        runtime=RuntimeHealth(
            python=about.python,
            ready=parts.placement.is_ready,
            tiers=[TierHealth(**asdict(tier)) for tier in parts.placement.tiers],
        ),
        sessions=SessionsHealth(live=load.live, max=load.most, waiting=load.waiting, asleep=load.asleep),
        idle_memory=about.idle_memory,
        upstream=parts.upstream.kind,
    )
    return _json(json_of(answer))


async def metrics(request: Request) -> Response:
    parts = _parts(request)
    return Response(
        await parts.telemetry.exposition(parts.placement),
        headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4},
    )


def routes() -> list[Route]:
    return [
        Route("/v1/messages", messages, methods=["POST"]),
        Route("/v1/executions", create_execution, methods=["POST"]),
        Route("/v1/executions/batch", create_batch, methods=["POST"]),
        Route("/v1/containers", create_container, methods=["POST"]),
        Route("/v1/containers/{id}", read_container, methods=["GET"]),
        Route("/v1/containers/{id}", delete_container, methods=["DELETE"]),
        Route("/v1/files/{id}", read_file, methods=["GET"]),
        Route("/v1/files/{id}", delete_file, methods=["DELETE"]),
        Route("/v1/files/{id}/content", read_file_content, methods=["GET"]),
        Route("/health", health, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
    ]


def route_names(endpoints: list[Route]) -> dict[Any, str]:
    """What each endpoint is called, as in the reference: `GET /v1/files/{id}`."""
    return {
        route.endpoint: f"{method} {route.path}"
        for route in endpoints
        for method in (route.methods or set()) - {"HEAD"}
    }


def _parts(request: Request) -> loop.Parts:
    parts = request.app.state.parts
    assert isinstance(parts, loop.Parts)
    return parts


def _json(document: dict[str, Any]) -> Response:
    return Response(json_bytes(document), media_type="application/json")


async def _document(request: Request, *, may_be_empty: bool = False) -> dict[str, Any]:
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
    return document


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        # What is rare: half a character, a byte order mark, much nesting; and errors, with the line and column.
        return _DECODER.decode(body.decode("utf-8-sig"))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _validated(model: type[M], document: dict[str, Any]) -> M:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise from_validation(error) from error


def _code_tool(tools: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The code execution tool among the tools. Raises InvalidRequest for server tools that we do not have."""
    found: dict[str, Any] | None = None
    names: set[str] = set()
    for index, tool in enumerate(tools):
        kind, name = tool.get("type") or "custom", tool.get("name")
        for prefix, why in _SERVER_TOOLS.items():
            if kind.startswith(prefix):
                raise InvalidRequest(f"tools.{index}: {kind} cannot be used: {why}. Leave it out of `tools`.")
        if name in names:
            raise InvalidRequest(
                f"tools.{index}.name: {name!r} is the name of another tool in the list already"
            )
        if name is not None:
            names.add(name)
        if not kind.startswith("code_execution"):
            continue
        known = ", ".join(code_execution.KNOWN_TYPES)
        if kind not in code_execution.KNOWN_TYPES:
            raise InvalidRequest(
                f"tools.{index}.type: {kind!r} is not a version that this server knows; known: {known}"
            )
        if name != CODE_TOOL:
            raise InvalidRequest(f"tools.{index}.name: Input should be {CODE_TOOL!r}")
        found = tool
    return found


def _betas(request: Request) -> tuple[str, ...]:
    """The values of `anthropic-beta`, which may be a list, and may be repeated."""
    values = ",".join(request.headers.getlist("anthropic-beta")).split(",")
    return tuple(value.strip() for value in values if value.strip())


def _api_key(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (
        token.strip() if scheme.lower() == "bearer" and token else None
    )


def _file_document(file: File) -> FileDocument:
    return FileDocument(
        id=file.id,
        filename=file.filename,
        mime_type=file.mime_type,
        size_bytes=file.size_bytes,
        created_at=rfc3339(file.created_at),
        expires_at=rfc3339(file.expires_at),
    )


def _disposition(filename: str) -> str:
    """`attachment`, with the name for old clients in ASCII and for all others by RFC 5987."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in filename)
    encoded = quote(filename.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
