"""The API's description of itself: an OpenAPI 3.1 document, made of the table of operations below.

An endpoint that is added to `routes` needs a line in `operations`, and a test says so. Bodies and answers are the
pydantic models that the endpoints use; where they leave to the model server what they do not need to know, as in
messages, the shape is written out by hand (`shapes`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

import belljar
from belljar.gateway import form, listing, models, profiles, runtimes, tokens, totals
from belljar.gateway.access import is_open
from belljar.gateway.answer import OUTPUT_HEADER
from belljar.gateway.profiles import Profile
from belljar.gateway.shapes import BY_HAND, REF, TEXT, Schema, named
from belljar.gateway.store import GroupBy
from belljar.wire.charts import MEDIA_TYPES, DrawingRequest
from belljar.wire.execution import BatchItem, BatchLine, Execution, ExecutionRequest
from belljar.wire.messages import Message
from belljar.wire.resources import (
    ContainerDeleted,
    ContainerDocument,
    ContainerFileDeleted,
    ContainerFileDocument,
    ContainerFileList,
    ContainerList,
    ContainerRequest,
    ErrorDocument,
    FileDeleted,
    FileDocument,
    FileList,
    Health,
    Lifecycle,
    ModelDocument,
    ModelList,
    RequestDocument,
    RuntimeDocument,
    RuntimeList,
    TokenCount,
    UsageTable,
)

Shape = type[BaseModel] | Schema
Content = Mapping[str, Shape]
"""Schemas by media type."""


@dataclass(frozen=True)
class Operation:
    """One method of one path, as a client sees it."""

    summary: str
    """In Markdown's plain words: also its line in the reference (`make reference`)."""
    answer: Content
    body: Content | None = None
    is_body_needed: bool = True
    parameters: tuple[Schema, ...] = ()
    headers: tuple[str, ...] = ()
    """Of the answer, beside `request-id`."""
    error_answer: Content = field(default_factory=lambda: _json(ErrorDocument))
    errors: tuple[int, ...] = ()
    """Statuses beside 200 and 500, those of API keys, and beside 400 and 413 where there is a body."""
    section: str = ""
    """The heading in the reference that says more, where none has the operation's own name."""


def _json(shape: Shape) -> Content:
    return {"application/json": shape}


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _header(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "header", "schema": schema, "description": description}


_HTML: dict[str, Shape] = {"text/html": TEXT}
_BYTES: Schema = {"type": "string", "format": "binary"}
_RPC: Schema = {"type": "object", "properties": {"jsonrpc": {"const": "2.0"}}}
_LINES: Schema = {
    "type": "string",
    "contentMediaType": "application/x-ndjson",
    "pattern": "[^\\u0009-\\u000d ]",
    "description": "JSON lines: a `BatchItem` in each. Empty lines are skipped.",
}
_FILE_FORM: Content = {
    "multipart/form-data": {
        "type": "object",
        "properties": {
            "file": {**_BYTES, "description": "The file, with a `filename`, and its own content type."},
            "expires_in_seconds": {
                "type": "integer",
                "minimum": form.MIN_SECONDS,
                "maximum": form.MAX_SECONDS,
                "description": "How long it is kept; else until it is deleted.",
            },
        },
        "required": ["file"],
    }
}
_NAME = r"(?!\.{1,2}(/|$))(?!\.belljar-)[^/\u0000-\u001f\u007f]{1,60}"
_PARTS: dict[str, Schema] = {
    # Names may be longer where they are in ASCII: the limit is one of bytes.
    "path": {**TEXT, "pattern": f"^{_NAME}(/{_NAME}){{0,16}}$"},
}
_ID: Schema = {**TEXT, "pattern": f"^{listing.ID_PATTERN}$"}
_TIME: Schema = {**TEXT, "pattern": f"^{totals.TIME}$"}
_BETAS = _header(
    "anthropic-beta", TEXT, "Names, separated by commas. Unknown ones are passed on, or ignored."
)
_PROFILE = _header(
    profiles.HEADER,
    {"enum": list(get_args(Profile))},
    "The shape of results; else it is chosen by the request.",
)
_OUTPUT = _header(
    OUTPUT_HEADER,
    {"enum": ["live"]},
    "A stream is to have `belljar_output` events: what code and commands print and show, while they do.",
)
_RUNTIME = _header(runtimes.HEADER, TEXT, "The runtime that code is to run in.")
_KEYS: Schema = {
    "x-api-key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "A key of this server's. As long as it has none, requests need none, and any will do.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key, in `authorization`."},
}
_RUNS = (402, 429, 503, 529)
_PLACES = (429, 503, 529)
_ASKS = (502, 503, 504)
_HEADERS = {
    "request-id": {"description": "The id of this request, as in errors.", "required": True, "schema": TEXT},
    profiles.HEADER: {
        "description": "The shape of results in this answer.",
        "schema": {"enum": list(get_args(Profile))},
    },
    runtimes.HEADER: {"description": "The runtime that code runs in.", "schema": TEXT},
    "belljar-isolation": {"description": "The jail's isolation level.", "schema": TEXT},
    tokens.HEADER: {"description": "Who counted.", "schema": {"enum": ["upstream", "estimate"]}},
}


def operations(max_sessions: int) -> dict[str, Operation]:
    """Every endpoint, in the order of `routes`."""
    return {
        "POST /v1/messages": Operation(
            "A message of the model, with the code that it wants run, run",
            {"application/json": named("MessageAnswer"), "text/event-stream": named("MessageEvents")},
            _json(named("MessageRequest")),
            parameters=(_BETAS, _PROFILE, _RUNTIME, _OUTPUT),
            headers=(profiles.HEADER, runtimes.HEADER, "belljar-isolation"),
            errors=(401, 403, 404, *sorted({*_RUNS, *_ASKS})),
        ),
        "POST /v1/messages/count_tokens": Operation(
            "How many tokens a request has for the model, before it is answered",
            _json(TokenCount),
            _json(named("CountRequest")),
            parameters=(_BETAS, _RUNTIME),
            headers=(tokens.HEADER,),
            errors=(401, 403, 404, 429, *_ASKS, 529),
        ),
        "GET /v1/models": Operation(
            "The models that the upstream tells of",
            _json(ModelList),
            parameters=(
                _query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": models.MOST},
                    "Models on a page; else 20.",
                ),
                _query("after_id", TEXT, "Begin after this model."),
                _query("before_id", TEXT, "End before this model."),
                _query(
                    "lifecycle[]",
                    {"type": "array", "items": {"enum": list(get_args(Lifecycle))}},
                    "Only models at these stages; else active and deprecated ones.",
                ),
            ),
            errors=(400, 401, 403, 404, 429, *_ASKS, 529),
        ),
        "GET /v1/models/{id}": Operation(
            "A model", _json(ModelDocument), errors=(401, 403, 404, 429, *_ASKS, 529)
        ),
        "POST /v1/executions": Operation(
            "Run code without a model",
            {**_json(Execution), "text/event-stream": named("ExecutionEvents")},
            _json(ExecutionRequest),
            parameters=(_RUNTIME,),
            errors=(404, *_RUNS),
        ),
        "POST /v1/executions/batch": Operation(
            "Run many programs",
            {
                "application/x-ndjson": {
                    **_LINES,
                    "description": "JSON lines: a `BatchLine` in each, or nothing.",
                }
            },
            {"application/x-ndjson": _LINES},
            parameters=(
                _RUNTIME,
                _query(
                    "at_once",
                    {"type": "integer", "minimum": 1, "maximum": max_sessions},
                    "Programs at the same time.",
                ),
            ),
            errors=(402,),
        ),
        "POST /v1/containers": Operation(
            "Make a container",
            _json(ContainerDocument),
            _json(ContainerRequest),
            is_body_needed=False,
            parameters=(_RUNTIME,),
            errors=(404, 429, 503, 529),
            section="Containers",
        ),
        "GET /v1/containers": Operation(
            "The containers of the tenant, the newest first",
            _json(ContainerList),
            parameters=(
                _query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": listing.MOST},
                    "Containers on a page; else 20.",
                ),
                _query("after_id", TEXT, "Older than this container."),
            ),
            errors=(400,),
        ),
        "GET /v1/containers/{id}": Operation(
            "A container", _json(ContainerDocument), errors=(404,), section="Containers"
        ),
        "DELETE /v1/containers/{id}": Operation(
            "End a container", _json(ContainerDeleted), errors=(404,), section="Containers"
        ),
        "GET /v1/containers/{id}/files": Operation(
            "What lies in a container's working directory",
            _json(ContainerFileList),
            errors=(404, *_PLACES),
            section="Files of a container",
        ),
        "GET /v1/containers/{id}/files/{path}": Operation(
            "The bytes of a file there",
            {"*/*": _BYTES},
            errors=(400, 404, *_PLACES),
            section="Files of a container",
        ),
        "PUT /v1/containers/{id}/files/{path}": Operation(
            "Write a file there",
            _json(ContainerFileDocument),
            {"*/*": _BYTES},
            is_body_needed=False,
            errors=(404, *_PLACES),
            section="Files of a container",
        ),
        "DELETE /v1/containers/{id}/files/{path}": Operation(
            "Delete a file there",
            _json(ContainerFileDeleted),
            errors=(400, 404, *_PLACES),
            section="Files of a container",
        ),
        "POST /v1/containers/{id}/charts/{chart_id}": Operation(
            "A chart of an earlier run, drawn again",
            {media: _BYTES if media != MEDIA_TYPES["svg"] else TEXT for media in MEDIA_TYPES.values()},
            _json(DrawingRequest),
            is_body_needed=False,
            errors=(404, 409, 410, *_RUNS),
            section="Charts",
        ),
        "GET /v1/runtimes": Operation("What code can run in", _json(RuntimeList)),
        "GET /v1/runtimes/{name}": Operation("A runtime", _json(RuntimeDocument), errors=(404, 503)),
        "POST /v1/files": Operation("Send a file", _json(FileDocument), _FILE_FORM),
        "GET /v1/files": Operation(
            "The files of the tenant, the newest first",
            _json(FileList),
            parameters=(
                _query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": listing.MOST},
                    "Files on a page; else 20.",
                ),
                _query(
                    "page", {**TEXT, "pattern": f"^page_{listing.ID_PATTERN}$"}, "An answer's `next_page`."
                ),
                _query("after_id", _ID, "Older than this file, where there is no `page`."),
                _query("before_id", _ID, "Newer than this file, where there is neither of the two."),
                _query("scope_id", _ID, "Only what this container has made."),
                _query(
                    "ids[]",
                    {"type": "array", "items": _ID, "maxItems": listing.MOST_IDS},
                    "These files, whatever the others say.",
                ),
            ),
            errors=(400,),
        ),
        "GET /v1/files/{id}": Operation("A file's facts", _json(FileDocument), errors=(404,)),
        "DELETE /v1/files/{id}": Operation("Delete a file", _json(FileDeleted), errors=(404,)),
        "GET /v1/files/{id}/content": Operation("A file's bytes", {"*/*": _BYTES}, errors=(400, 404)),
        "POST /mcp": Operation(
            "A message of the Model Context Protocol, whose specification has its shape",
            {**_json(_RPC), "text/event-stream": TEXT},
            _json(_RPC),
            parameters=(_RUNTIME,),
            errors=(403, 404, 406, *_RUNS),
        ),
        "GET /mcp": Operation(
            "What the server has to say in an MCP session of a client that shook hands",
            {"text/event-stream": TEXT},
            errors=(400, 403, 404, 405, 406, 409),
        ),
        "DELETE /mcp": Operation(
            "End such a session, and its container with it", _json(_RPC), errors=(400, 403, 404, 405)
        ),
        "GET /v1/requests/{id}": Operation(
            "What a request did, and when: its turns, forks, executions, tokens",
            _json(RequestDocument),
            errors=(404,),
        ),
        "GET /v1/usage": Operation(
            "What requests have used",
            _json(UsageTable),
            parameters=(
                _query("from", _TIME, "From this day or time on; else of the last 30 days."),
                _query("to", _TIME, "To before this day or time; else until now."),
                _query("group_by", {"enum": list(get_args(GroupBy))}, "What has a line; else each day."),
            ),
            errors=(400,),
            section="Usage, prices, budgets",
        ),
        "GET /health": Operation(
            "How the server is: isolation, runtimes, sessions, memory, upstream", _json(Health)
        ),
        "GET /metrics": Operation("Numbers for Prometheus", {"text/plain": TEXT}),
        "GET /openapi.json": Operation("This API as an OpenAPI document", _json({"type": "object"})),
        "GET /": Operation(
            "The page", _HTML, error_answer={**_HTML, **_json(ErrorDocument)}, errors=(404, 503)
        ),
        "GET /page/{path}": Operation("A file of the page", {"*/*": _BYTES}, errors=(404,)),
    }


@cache
def document(max_sessions: int) -> bytes:
    """The whole document, as JSON, of a server that may have so many sessions."""
    table = operations(max_sessions)
    paths: dict[str, dict[str, Any]] = {}
    for name, operation in table.items():
        method, path = name.split(" ")
        paths.setdefault(path, {})[method.lower()] = _described(name, operation)
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Belljar",
            "version": belljar.__version__,
            "description": "Code execution for language models, in the words of the Anthropic API.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"x-api-key": []}, {"bearer": []}, {}],
        "paths": paths,
        "components": {"schemas": _schemas(table), "securitySchemes": _KEYS},
    }
    return json.dumps(whole, ensure_ascii=False).encode()


def _schemas(table: Mapping[str, Operation]) -> dict[str, Schema]:
    """Every schema that the operations name, by its name."""
    asked: list[type[BaseModel]] = [Message, BatchItem]
    told: list[type[BaseModel]] = [ErrorDocument, BatchLine]
    for operation in table.values():
        asked += [shape for shape in (operation.body or {}).values() if isinstance(shape, type)]
        told += [shape for shape in operation.answer.values() if isinstance(shape, type)]
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "validation") for model in dict.fromkeys(asked)),
        *((model, "serialization") for model in dict.fromkeys(told)),
    ]
    _, made = models_json_schema(modes, ref_template=REF)
    return {**made["$defs"], **BY_HAND}


def _described(name: str, operation: Operation) -> Schema:
    parameters = list(operation.parameters)
    for at, part in enumerate(re.findall(r"\{(\w+)\}", name)):
        schema = _PARTS.get(part, {**TEXT, "minLength": 1})
        parameters.insert(at, {"name": part, "in": "path", "required": True, "schema": schema})
    errors = {500, *operation.errors, *((400, 413) if operation.body is not None else ())}
    if not is_open(name.partition(" ")[2]):
        errors |= {401, 429}  # the API key
    if operation.body is not None:
        errors.add(408)
    described: Schema = {
        "operationId": name,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": operation.summary,
                "headers": {header: _HEADERS[header] for header in ("request-id", *operation.headers)},
                "content": _content(operation.answer),
            },
            **{str(status): _error(status, operation.error_answer) for status in sorted(errors)},
        },
    }
    if is_open(name.partition(" ")[2]):
        described["security"] = []
    if operation.body is not None:
        described["requestBody"] = {"required": operation.is_body_needed, "content": _content(operation.body)}
    return described


def _content(content: Content) -> Schema:
    return {
        media: {"schema": named(shape.__name__) if isinstance(shape, type) else shape}
        for media, shape in content.items()
    }


def _error(status: int, answer: Content) -> Schema:
    return {
        "description": "Overloaded" if status == 529 else HTTPStatus(status).phrase,
        "headers": {"request-id": _HEADERS["request-id"]},
        "content": _content(answer),
    }
