"""The endpoints, from top to bottom."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

import belljar
from belljar.batch import lines_of
from belljar.errors import InvalidRequest, NotFound
from belljar.gateway import (
    batch,
    charts,
    containers,
    executions,
    incoming,
    listing,
    live,
    loop,
    mcp,
    models,
    openapi,
    outgoing,
    page,
    profiles,
    runtimes,
    tokens,
    totals,
)
from belljar.gateway.activity import activity_of
from belljar.gateway.bodies import Limit
from belljar.gateway.envelope import Streamed
from belljar.gateway.form import FORM_BYTES, Form, too_large
from belljar.gateway.sse import EventStream
from belljar.gateway.turn import MessageFold
from belljar.mcp import PATH as MCP_PATH
from belljar.settings import Settings
from belljar.wire.charts import DrawingRequest
from belljar.wire.execution import ExecutionRequest, json_of
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


class FileNotDownloadable(InvalidRequest):
    """Who has sent a file has it: only what runs made is handed out."""

    details = {"error_code": "file_not_downloadable"}  # noqa: RUF012 - read only


async def messages(request: Request) -> ASGIApp:
    parts = incoming.parts_of(request)
    asked = incoming.asked_of(request, await incoming.document_of(request))
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
    return outgoing.json(fold.result())


async def count_tokens(request: Request) -> Response:
    parts = incoming.parts_of(request)
    # The same request, but for two fields: what they say is no part of what the model reads.
    asked = incoming.asked_of(
        request, await incoming.document_of(request) | {"max_tokens": 0, "stream": None}
    )
    first = await loop.first_request(parts, asked)
    counted = {name: value for name, value in first.items() if name not in {"max_tokens", "stream"}}
    found = await parts.upstream.count_tokens(counted, asked.caller)
    asked.activity.headers[tokens.HEADER] = "estimate" if found is None else "upstream"
    return outgoing.json(
        json_of(TokenCount(input_tokens=tokens.estimate(counted) if found is None else found))
    )


async def list_models(request: Request) -> Response:
    asked = models.asked_for(request.query_params.multi_items())
    parts = incoming.parts_of(request)
    listed = await parts.upstream.models(incoming.caller_of(request))
    return outgoing.json(json_of(models.page(listed, asked, searches=bool(parts.settings.search))))


async def read_model(request: Request) -> Response:
    model_id = request.path_params["id"]
    parts = incoming.parts_of(request)
    model = await parts.upstream.model(model_id, incoming.caller_of(request))
    if model is None:
        raise NotFound(f"There is no model {model_id}. GET /v1/models has those that the upstream tells of.")
    return outgoing.json(json_of(models.document_of(model, searches=bool(parts.settings.search))))


async def create_execution(request: Request) -> ASGIApp:
    parts, activity = incoming.parts_of(request), activity_of(request.scope)
    asked = incoming.validated(ExecutionRequest, await incoming.document_of(request))
    await parts.admit(activity)
    runtime = incoming.runtime_of(request)
    if asked.stream:
        return EventStream(lambda emit: live.answer(parts, asked, activity, runtime, emit), {})
    with activity.client.execution():
        done = await executions.run(parts, asked, activity, runtime)
    return outgoing.json(json_of(done))


async def create_batch(request: Request) -> ASGIApp:
    parts = incoming.parts_of(request)
    lines = lines_of(await request.body())
    at_once = incoming.at_once(request.query_params.get("at_once"), parts.settings.max_sessions)
    activity, runtime = activity_of(request.scope), incoming.runtime_of(request)
    await parts.admit(activity)
    return batch.LineStream(
        lambda emit: batch.answer(parts, lines, at_once, activity, runtime, emit),
        parts.settings.batch_silence_seconds,
    )


async def create_container(request: Request) -> Response:
    asked = incoming.validated(ContainerRequest, await incoming.document_of(request, may_be_empty=True))
    made = await containers.create(
        incoming.parts_of(request), asked, incoming.client_of(request), incoming.runtime_of(request)
    )
    return outgoing.json(json_of(made))


async def list_containers(request: Request) -> Response:
    query = request.query_params.multi_items()
    return outgoing.json(
        json_of(containers.page(incoming.parts_of(request), query, incoming.client_of(request)))
    )


async def read_container(request: Request) -> Response:
    found = await containers.read(
        incoming.parts_of(request), request.path_params["id"], incoming.client_of(request)
    )
    return outgoing.json(json_of(found))


async def delete_container(request: Request) -> Response:
    container_id = request.path_params["id"]
    placement = incoming.parts_of(request).placement
    placement.find(container_id, incoming.client_of(request).tenant)
    await placement.delete(container_id, "it was deleted")
    return outgoing.json(json_of(ContainerDeleted(id=container_id)))


async def list_container_files(request: Request) -> Response:
    return outgoing.json(
        json_of(await containers.list_files(incoming.parts_of(request), *incoming.container_of(request)))
    )


async def put_container_file(request: Request) -> Response:
    container_id, client = incoming.container_of(request)
    path, body = request.path_params["path"], request.stream()
    return outgoing.json(
        json_of(await containers.put_file(incoming.parts_of(request), container_id, path, body, client))
    )


async def read_container_file(request: Request) -> Response:
    container_id, client = incoming.container_of(request)
    path = request.path_params["path"]
    file, mime_type, pieces = await containers.open_file(
        incoming.parts_of(request), container_id, path, client
    )
    return outgoing.download(path.rpartition("/")[2], file.size_bytes, mime_type, pieces)


async def delete_container_file(request: Request) -> Response:
    container_id, client = incoming.container_of(request)
    path = request.path_params["path"]
    return outgoing.json(
        json_of(await containers.delete_file(incoming.parts_of(request), container_id, path, client))
    )


async def draw_chart(request: Request) -> Response:
    parts, activity = incoming.parts_of(request), activity_of(request.scope)
    asked = incoming.validated(DrawingRequest, await incoming.document_of(request, may_be_empty=True))
    ids = request.path_params
    await parts.admit(activity)
    with activity.client.execution():
        body, media_type = await charts.draw(parts, ids["id"], ids["chart_id"], asked, activity)
    return Response(body, headers=outgoing.HOSTILE, media_type=media_type)


async def list_runtimes(request: Request) -> Response:
    return outgoing.json(json_of(incoming.parts_of(request).runtimes.all()))


async def read_runtime(request: Request) -> Response:
    return outgoing.json(json_of(incoming.parts_of(request).runtimes.one(request.path_params["name"])))


async def create_file(request: Request) -> Response:
    most = incoming.parts_of(request).settings.max_file_bytes
    form = Form(request.headers.get("content-type", ""), request.stream(), most)
    file = await incoming.files_of(request).receive(form.pieces(), form.facts)
    return outgoing.json(json_of(listing.document(file)))


async def list_files(request: Request) -> Response:
    query = listing.query(request.query_params.multi_items())
    return outgoing.json(json_of(await listing.answer(incoming.files_of(request), query)))


async def read_file(request: Request) -> Response:
    file = await incoming.files_of(request).find(request.path_params["id"])
    return outgoing.json(json_of(listing.document(file)))


async def read_file_content(request: Request) -> Response:
    files = incoming.files_of(request)
    file = await files.find(request.path_params["id"])
    pieces = await files.open(file)
    if not file.is_downloadable:
        raise FileNotDownloadable(
            f"The file {file.id} was uploaded, and only files that code has made can be downloaded. Use your own copy."
        )
    return outgoing.download(file.filename, file.size_bytes, file.mime_type, pieces)


async def delete_file(request: Request) -> Response:
    file_id = request.path_params["id"]
    await incoming.files_of(request).remove(file_id)
    return outgoing.json(json_of(FileDeleted(id=file_id)))


async def read_request(request: Request) -> Response:
    found = incoming.parts_of(request).timelines.find(
        incoming.client_of(request).tenant, request.path_params["id"]
    )
    return outgoing.json(json_of(found))


async def read_usage(request: Request) -> Response:
    parts, client = incoming.parts_of(request), incoming.client_of(request)
    asked = totals.asked_for(request.query_params.multi_items())
    await parts.ledger.flush()
    tenant = client.tenant if client.has_key else None
    return outgoing.json(json_of(await totals.table(parts.store, asked, tenant)))


async def send_mcp(request: Request) -> ASGIApp:
    return await _mcp(request)


async def hear_mcp(request: Request) -> ASGIApp:
    activity_of(request.scope).is_listening = True
    return await _mcp(request)


async def end_mcp(request: Request) -> ASGIApp:
    return await _mcp(request)


async def _mcp(request: Request) -> ASGIApp:
    """What answers is the SDK's: here it is said who may ask it."""
    parts = incoming.parts_of(request)
    host, origin = request.headers.get("host"), request.headers.get("origin")
    mcp.check_origin(host, origin, is_open=parts.access.has_keys or bool(parts.settings.open))
    return await parts.mcp.app(parts, incoming.client_of(request).tenant)


async def health(request: Request) -> Response:
    parts = incoming.parts_of(request)
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
    return outgoing.json(json_of(answer))


async def metrics(request: Request) -> Response:
    parts = incoming.parts_of(request)
    return Response(
        await parts.telemetry.exposition(parts.placement),
        headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4},
    )


async def read_openapi(request: Request) -> Response:
    return Response(
        openapi.document(incoming.parts_of(request).settings.max_sessions), media_type="application/json"
    )


async def read_page(request: Request) -> Response:
    return page.answer(incoming.parts_of(request).page, None, request.headers)


async def read_page_file(request: Request) -> Response:
    return page.answer(incoming.parts_of(request).page, request.path_params["path"], request.headers)


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
    """Of requests whose bodies are read as they come in, the limit; None of all others."""

    most = settings.max_file_bytes

    def limit(method: str, path: str) -> Limit | None:
        if (method, path) == ("POST", "/v1/files"):
            return Limit(most + FORM_BYTES, too_large(most))
        if method == "PUT" and _CONTAINER_FILE.match(path):
            return Limit(most, too_large(most))
        return None

    return limit


def route_names(endpoints: list[Route]) -> dict[Any, str]:
    """What each endpoint is called, as in the reference: `GET /v1/files/{id}`."""
    return {
        route.endpoint: f"{method} {route.path_format}"
        for route in endpoints
        for method in (route.methods or set()) - {"HEAD"}
    }
