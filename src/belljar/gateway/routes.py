"""The endpoints, from top to bottom."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, TypeVar
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
from belljar.errors import InvalidRequest, NotFound
from belljar.gateway import (
    batch,
    blocks,
    charts,
    containers,
    executions,
    finite,
    listing,
    live,
    loop,
    mcp,
    models,
    offered,
    openapi,
    page,
    profiles,
    runtimes,
    tokens,
    totals,
)
from belljar.gateway.access import Client, shown_key
from belljar.gateway.activity import activity_of
from belljar.gateway.answer import OUTPUT_HEADER, Asked
from belljar.gateway.envelope import Streamed, ThreadUnsupported, from_validation
from belljar.gateway.files import TenantFiles
from belljar.gateway.form import FORM_BYTES, Form
from belljar.gateway.frame import json_bytes
from belljar.gateway.parts import Parts
from belljar.gateway.sse import EventStream
from belljar.gateway.tracing import passed_on
from belljar.gateway.turn import MessageFold
from belljar.gateway.upstream import Caller
from belljar.mcp import PATH as MCP_PATH
from belljar.settings import BY_UPSTREAM, Settings
from belljar.wire.charts import DrawingRequest
from belljar.wire.execution import ExecutionRequest, json_of
from belljar.wire.messages import ContainerParameter, MessageRequest
from belljar.wire.resources import (
    BuiltRuntimeHealth,
    ContainerDeleted,
    ContainerRequest,
    FileDeleted,
    Health,
    RuntimeHealth,
    SessionsHealth,
    TierHealth,
    TokenCount,
)

_CONTAINER_FILE = re.compile("/v1/containers/[^/]+/files/")

M = TypeVar("M", bound=BaseModel)
# What a run made is hostile: no browser may take it for a page of ours.
_HOSTILE = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
}


class FileNotDownloadable(InvalidRequest):
    """Who has sent a file has it: only what runs made is handed out."""

    details = {"error_code": "file_not_downloadable"}  # noqa: RUF012 - read only


async def messages(request: Request) -> ASGIApp:
    parts = _parts(request)
    asked = _asked(request, await _document(request))
    meter = asked.activity.meter
    meter.model = asked.request.model
    meter.tools = tuple(tool.get("type") or "custom" for tool in asked.request.tools or ())
    await parts.admit(asked.activity)
    asked.activity.headers[profiles.HEADER] = asked.profile
    asked.activity.headers[runtimes.HEADER] = asked.runtime
    asked.activity.headers["belljar-isolation"] = parts.placement.description.isolation.level
    if asked.request.stream:
        return EventStream(lambda emit: loop.answer(parts, asked, emit), {})
    fold = MessageFold()

    async def add(event: dict[str, Any]) -> None:
        fold.add(event)

    await loop.answer(parts, asked, add)
    return _json(fold.result())


def _asked(request: Request, document: dict[str, Any]) -> Asked:
    """A request for an answer, understood. Raises InvalidRequest, and NotFound for its container."""
    parts = _parts(request)
    if document.get("thread") is not None:
        raise ThreadUnsupported(
            "thread: this server keeps no threads; send the whole conversation in `messages`"
        )
    asked_for = _validated(MessageRequest, document)
    blocks.check(asked_for)
    leaves_search = parts.settings.search == BY_UPSTREAM
    tools = offered.read(asked_for.tools or [], asked_for.tool_choice, leaves_search=leaves_search)
    container_id = _container_id(asked_for.container, tools.version)
    caller = _caller(request)
    header = request.headers.get(profiles.HEADER)
    profile = profiles.choose(header, parts.settings.profile, tools.version, caller.betas)
    named = parts.placement.named(container_id, _client(request).tenant) if container_id is not None else None
    field = asked_for.container.runtime if isinstance(asked_for.container, ContainerParameter) else None
    said = field if field is not None else _runtime(request)
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


async def count_tokens(request: Request) -> Response:
    parts = _parts(request)
    # The same request, but for two fields: what they say is no part of what the model reads.
    asked = _asked(request, await _document(request) | {"max_tokens": 0, "stream": None})
    first = await loop.first_request(parts, asked)
    counted = {name: value for name, value in first.items() if name not in {"max_tokens", "stream"}}
    found = await parts.upstream.count_tokens(counted, asked.caller)
    asked.activity.headers[tokens.HEADER] = "estimate" if found is None else "upstream"
    return _json(json_of(TokenCount(input_tokens=tokens.estimate(counted) if found is None else found)))


async def list_models(request: Request) -> Response:
    asked = models.asked_for(request.query_params.multi_items())
    parts = _parts(request)
    listed = await parts.upstream.models(_caller(request))
    return _json(json_of(models.page(listed, asked, searches=bool(parts.settings.search))))


async def read_model(request: Request) -> Response:
    model_id = request.path_params["id"]
    parts = _parts(request)
    model = await parts.upstream.model(model_id, _caller(request))
    if model is None:
        raise NotFound(f"There is no model {model_id}. GET /v1/models has those that the upstream tells of.")
    return _json(json_of(models.document_of(model, searches=bool(parts.settings.search))))


async def create_execution(request: Request) -> ASGIApp:
    parts, activity = _parts(request), activity_of(request.scope)
    asked = _validated(ExecutionRequest, await _document(request))
    await parts.admit(activity)
    runtime = _runtime(request)
    if asked.stream:
        return EventStream(lambda emit: live.answer(parts, asked, activity, runtime, emit), {})
    with activity.client.execution():
        done = await executions.run(parts, asked, activity, runtime)
    return _json(json_of(done))


async def create_batch(request: Request) -> ASGIApp:
    parts = _parts(request)
    lines = lines_of(await request.body())
    at_once = _at_once(request.query_params.get("at_once"), parts.settings.max_sessions)
    activity, runtime = activity_of(request.scope), _runtime(request)
    await parts.admit(activity)
    return batch.LineStream(
        lambda emit: batch.answer(parts, lines, at_once, activity, runtime, emit),
        parts.settings.batch_silence_seconds,
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
    made = await containers.create(_parts(request), asked, _client(request), _runtime(request))
    return _json(json_of(made))


async def list_containers(request: Request) -> Response:
    query = request.query_params.multi_items()
    return _json(json_of(containers.page(_parts(request), query, _client(request))))


async def read_container(request: Request) -> Response:
    found = await containers.read(_parts(request), request.path_params["id"], _client(request))
    return _json(json_of(found))


async def delete_container(request: Request) -> Response:
    container_id = request.path_params["id"]
    placement = _parts(request).placement
    placement.find(container_id, _client(request).tenant)
    await placement.delete(container_id, "it was deleted")
    return _json(json_of(ContainerDeleted(id=container_id)))


async def list_container_files(request: Request) -> Response:
    return _json(json_of(await containers.list_files(_parts(request), *_container(request))))


async def put_container_file(request: Request) -> Response:
    container_id, client = _container(request)
    path, body = request.path_params["path"], request.stream()
    return _json(json_of(await containers.put_file(_parts(request), container_id, path, body, client)))


async def read_container_file(request: Request) -> Response:
    container_id, client = _container(request)
    path = request.path_params["path"]
    file, mime_type, pieces = await containers.open_file(_parts(request), container_id, path, client)
    return _download(path.rpartition("/")[2], file.size_bytes, mime_type, pieces)


async def delete_container_file(request: Request) -> Response:
    container_id, client = _container(request)
    path = request.path_params["path"]
    return _json(json_of(await containers.delete_file(_parts(request), container_id, path, client)))


def _container(request: Request) -> tuple[str, Client]:
    """The container that a path names, and who asks."""
    container_id = activity_of(request.scope).container_id = request.path_params["id"]
    return container_id, _client(request)


async def draw_chart(request: Request) -> Response:
    parts, activity = _parts(request), activity_of(request.scope)
    asked = _validated(DrawingRequest, await _document(request, may_be_empty=True))
    ids = request.path_params
    await parts.admit(activity)
    with activity.client.execution():
        body, media_type = await charts.draw(parts, ids["id"], ids["chart_id"], asked, activity)
    return Response(body, headers=_HOSTILE, media_type=media_type)


async def list_runtimes(request: Request) -> Response:
    return _json(json_of(_parts(request).runtimes.all()))


async def read_runtime(request: Request) -> Response:
    return _json(json_of(_parts(request).runtimes.one(request.path_params["name"])))


async def create_file(request: Request) -> Response:
    most = _parts(request).settings.max_file_bytes
    form = Form(request.headers.get("content-type", ""), request.stream(), most)
    file = await _files(request).receive(form.pieces(), form.facts)
    return _json(json_of(listing.document(file)))


async def list_files(request: Request) -> Response:
    query = listing.query(request.query_params.multi_items())
    return _json(json_of(await listing.answer(_files(request), query)))


async def read_file(request: Request) -> Response:
    file = await _files(request).find(request.path_params["id"])
    return _json(json_of(listing.document(file)))


async def read_file_content(request: Request) -> Response:
    files = _files(request)
    file = await files.find(request.path_params["id"])
    pieces = await files.open(file)
    if not file.is_downloadable:
        raise FileNotDownloadable(
            f"The file {file.id} was uploaded, and only files that code has made can be downloaded. Use your own copy."
        )
    return _download(file.filename, file.size_bytes, file.mime_type, pieces)


def _download(filename: str, size_bytes: int, mime_type: str, pieces: AsyncIterator[bytes]) -> Response:
    headers = {
        "content-disposition": _disposition(filename),
        "content-length": str(size_bytes),
        **_HOSTILE,
    }
    return StreamingResponse(pieces, headers=headers, media_type=mime_type)


async def delete_file(request: Request) -> Response:
    file_id = request.path_params["id"]
    await _files(request).remove(file_id)
    return _json(json_of(FileDeleted(id=file_id)))


async def read_request(request: Request) -> Response:
    found = _parts(request).timelines.find(_client(request).tenant, request.path_params["id"])
    return _json(json_of(found))


async def read_usage(request: Request) -> Response:
    parts, client = _parts(request), _client(request)
    asked = totals.asked_for(request.query_params.multi_items())
    await parts.ledger.flush()
    tenant = client.tenant if client.has_key else None
    return _json(json_of(await totals.table(parts.store, asked, tenant)))


async def send_mcp(request: Request) -> ASGIApp:
    return await _mcp(request)


async def hear_mcp(request: Request) -> ASGIApp:
    activity_of(request.scope).is_listening = True
    return await _mcp(request)


async def end_mcp(request: Request) -> ASGIApp:
    return await _mcp(request)


async def _mcp(request: Request) -> ASGIApp:
    """What answers is the SDK's: here it is said who may ask it."""
    parts = _parts(request)
    host, origin = request.headers.get("host"), request.headers.get("origin")
    mcp.check_origin(host, origin, is_open=parts.access.has_keys or bool(parts.settings.open))
    return await parts.mcp.app(parts, _client(request).tenant)


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
        runtimes=[
            BuiltRuntimeHealth(
                name=name,
                state=now.state,
                why=now.why,
                tiers=[TierHealth(**asdict(tier)) for tier in now.tiers],
            )
            for name, now in parts.placement.runtimes.items()
        ],
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


async def read_openapi(request: Request) -> Response:
    return Response(openapi.document(_parts(request).settings.max_sessions), media_type="application/json")


async def read_page(request: Request) -> Response:
    return page.answer(_parts(request).page, None, request.headers)


async def read_page_file(request: Request) -> Response:
    return page.answer(_parts(request).page, request.path_params["path"], request.headers)


def routes() -> list[Route]:
    """Each has its line in `openapi.operations`."""
    return [
        Route("/v1/messages", messages, methods=["POST"]),
        Route("/v1/messages/count_tokens", count_tokens, methods=["POST"]),
        Route("/v1/models", list_models, methods=["GET"]),
        Route("/v1/models/{id:path}", read_model, methods=["GET"]),  # an id may have slashes: owner/name
        Route("/v1/executions", create_execution, methods=["POST"]),
        Route("/v1/executions/batch", create_batch, methods=["POST"]),
        Route("/v1/containers", create_container, methods=["POST"]),
        Route("/v1/containers", list_containers, methods=["GET"]),
        Route("/v1/containers/{id}", read_container, methods=["GET"]),
        Route("/v1/containers/{id}", delete_container, methods=["DELETE"]),
        Route("/v1/containers/{id}/files", list_container_files, methods=["GET"]),
        Route("/v1/containers/{id}/files/{path:path}", read_container_file, methods=["GET"]),
        Route("/v1/containers/{id}/files/{path:path}", put_container_file, methods=["PUT"]),
        Route("/v1/containers/{id}/files/{path:path}", delete_container_file, methods=["DELETE"]),
        Route("/v1/containers/{id}/charts/{chart_id}", draw_chart, methods=["POST"]),
        Route("/v1/runtimes", list_runtimes, methods=["GET"]),
        Route("/v1/runtimes/{name}", read_runtime, methods=["GET"]),
        Route("/v1/files", create_file, methods=["POST"]),
        Route("/v1/files", list_files, methods=["GET"]),
        Route("/v1/files/{id}", read_file, methods=["GET"]),
        Route("/v1/files/{id}", delete_file, methods=["DELETE"]),
        Route("/v1/files/{id}/content", read_file_content, methods=["GET"]),
        Route(MCP_PATH, send_mcp, methods=["POST"]),
        Route(MCP_PATH, hear_mcp, methods=["GET"]),
        Route(MCP_PATH, end_mcp, methods=["DELETE"]),
        Route("/v1/requests/{id}", read_request, methods=["GET"]),
        Route("/v1/usage", read_usage, methods=["GET"]),
        Route("/health", health, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/openapi.json", read_openapi, methods=["GET"]),
        Route("/", read_page, methods=["GET"]),
        Route("/page/{path:path}", read_page_file, methods=["GET"]),
    ]


def streamed(settings: Settings) -> Streamed:
    """Of requests whose bodies are read as they come in, the largest body; None of all others."""

    def limit(method: str, path: str) -> int | None:
        if (method, path) == ("POST", "/v1/files"):
            return settings.max_file_bytes + FORM_BYTES
        if method == "PUT" and _CONTAINER_FILE.match(path):
            return settings.max_file_bytes
        return None

    return limit


def route_names(endpoints: list[Route]) -> dict[Any, str]:
    """What each endpoint is called, as in the reference: `GET /v1/files/{id}`."""
    return {
        route.endpoint: f"{method} {route.path_format}"
        for route in endpoints
        for method in (route.methods or set()) - {"HEAD"}
    }


def _parts(request: Request) -> Parts:
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


def _client(request: Request) -> Client:
    return activity_of(request.scope).client


def _files(request: Request) -> TenantFiles:
    client = _client(request)
    return _parts(request).files.of(client.tenant, client.most_stored_bytes)


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


def _validated(model: type[M], document: dict[str, Any]) -> M:
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


def _runtime(request: Request) -> str | None:
    return request.headers.get(runtimes.HEADER)


def _caller(request: Request) -> Caller:
    trace = activity_of(request.scope).trace
    headers = passed_on(request.headers) if trace is None else trace.headers
    return Caller(_api_key(request), _betas(request), headers)


def _api_key(request: Request) -> str | None:
    """The caller's key, where it may be the upstream's; one of ours is not passed on."""
    key = None if _client(request).has_key else shown_key(request.scope)
    return key.decode("latin-1") if key else None


def _disposition(filename: str) -> str:
    """`attachment`, with the name for old clients in ASCII and for all others by RFC 5987."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in filename)
    encoded = quote(filename.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
