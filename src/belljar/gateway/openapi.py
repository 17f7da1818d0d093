"""The API's description of itself: an OpenAPI 3.1 document, made of the table of operations below.

An endpoint that is added to `routes` needs a line in `operations`, and a test says so. Bodies and answers are the
pydantic models that the endpoints use; where they leave to the model server what they do not need to know, as in
messages, the shape is written out by hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

import belljar
from belljar.gateway import models, offered, profiles, tokens
from belljar.gateway.profiles import Profile
from belljar.gateway.tools import CODE, OUR_NAMES
from belljar.wire.execution import (
    BASE64_PATTERN,
    FILE_NAME_PATTERN,
    BatchItem,
    BatchLine,
    Execution,
    ExecutionRequest,
)
from belljar.wire.messages import Message
from belljar.wire.resources import (
    ContainerDeleted,
    ContainerDocument,
    ContainerRequest,
    ErrorDocument,
    FileDeleted,
    FileDocument,
    Health,
    Lifecycle,
    ModelDocument,
    ModelList,
    TokenCount,
)

Schema = dict[str, Any]
Shape = type[BaseModel] | Schema
Content = Mapping[str, Shape]
"""Schemas by media type."""

_REF = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Operation:
    """One method of one path, as a client sees it."""

    summary: str
    answer: Content
    body: Content | None = None
    is_body_needed: bool = True
    parameters: tuple[Schema, ...] = ()
    headers: tuple[str, ...] = ()
    """Of the answer, beside `request-id`."""
    errors: tuple[int, ...] = field(default=())
    """Statuses beside 200, and beside 413 and 400 where there is a body."""


def _json(shape: Shape) -> Content:
    return {"application/json": shape}


def _named(schema: str) -> Schema:
    return {"$ref": _REF.format(model=schema)}


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _header(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "header", "schema": schema, "description": description}


_TEXT: Schema = {"type": "string"}
_BYTES: Schema = {"type": "string", "format": "binary"}
_LINES: Schema = {
    "type": "string",
    "contentMediaType": "application/x-ndjson",
    "pattern": "[^\\u0009-\\u000d ]",
    "description": "JSON lines: a `BatchItem` in each. Empty lines are skipped.",
}
_BETAS = _header(
    "anthropic-beta", _TEXT, "Names, separated by commas. Unknown ones are passed on, or ignored."
)
_PROFILE = _header(
    profiles.HEADER,
    {"enum": list(get_args(Profile))},
    "The shape of results; else it is chosen by the request.",
)
_RUNS = (429, 503, 529)
_ASKS = (502, 503, 504)
_HEADERS = {
    "request-id": {"description": "The id of this request, as in errors.", "required": True, "schema": _TEXT},
    profiles.HEADER: {
        "description": "The shape of results in this answer.",
        "schema": {"enum": list(get_args(Profile))},
    },
    "belljar-isolation": {"description": "The jail's isolation level.", "schema": _TEXT},
    tokens.HEADER: {"description": "Who counted.", "schema": {"enum": ["upstream", "estimate"]}},
}


def operations(max_sessions: int) -> dict[str, Operation]:
    """Every endpoint, in the order of `routes`."""
    return {
        "POST /v1/messages": Operation(
            "A message of the model, with the code that it wants run, run",
            {"application/json": _named("MessageAnswer"), "text/event-stream": _named("MessageEvents")},
            _json(_named("MessageRequest")),
            parameters=(_BETAS, _PROFILE),
            headers=(profiles.HEADER, "belljar-isolation"),
            errors=(401, 403, 404, *sorted({*_RUNS, *_ASKS})),
        ),
        "POST /v1/messages/count_tokens": Operation(
            "How many tokens a request has for the model, before it is answered",
            _json(TokenCount),
            _json(_named("CountRequest")),
            parameters=(_BETAS,),
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
                _query("after_id", _TEXT, "Begin after this model."),
                _query("before_id", _TEXT, "End before this model."),
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
            "Run code without a model", _json(Execution), _json(ExecutionRequest), errors=(404, *_RUNS)
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
                _query(
                    "at_once",
                    {"type": "integer", "minimum": 1, "maximum": max_sessions},
                    "Programs at the same time.",
                ),
            ),
        ),
        "POST /v1/containers": Operation(
            "Make a container",
            _json(ContainerDocument),
            _json(ContainerRequest),
            is_body_needed=False,
            errors=_RUNS,
        ),
        "GET /v1/containers/{id}": Operation("A container", _json(ContainerDocument), errors=(404,)),
        "DELETE /v1/containers/{id}": Operation("End a container", _json(ContainerDeleted), errors=(404,)),
        "GET /v1/files/{id}": Operation("A file's facts", _json(FileDocument), errors=(404,)),
        "DELETE /v1/files/{id}": Operation("Delete a file", _json(FileDeleted), errors=(404,)),
        "GET /v1/files/{id}/content": Operation("A file's bytes", {"*/*": _BYTES}, errors=(404,)),
        "GET /health": Operation("How the server is", _json(Health)),
        "GET /metrics": Operation("Numbers for Prometheus", {"text/plain": _TEXT}),
        "GET /openapi.json": Operation("This document", _json({"type": "object"})),
    }


def _object(properties: Schema, required: str = "", **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": required.split(), **more}


def _block(kind: str, properties: Schema, required: str = "") -> Schema:
    return _object({"type": {"const": kind}, **properties}, f"type {required}", title=kind)


_RESERVED = f"^(code_execution|{'|'.join(offered.OTHERS_TOOLS)})"
"""Types of tools that run on a server: those of ours have a form of their own, and others are refused."""
_USE = {"id": _TEXT, "name": _TEXT, "input": {"type": "object"}}
_BYTES_SOURCE = _object(
    {
        "type": {"const": "base64"},
        "media_type": _TEXT,
        "data": {"type": "string", "contentEncoding": "base64", "pattern": BASE64_PATTERN},
    },
    "type media_type data",
)
_BLOCKS = [
    _block("text", {"text": _TEXT}, "text"),
    _block("image", {"source": _BYTES_SOURCE}, "source"),
    _block(
        "document",
        {
            "title": {"type": "string", "maxLength": 255, "pattern": FILE_NAME_PATTERN},
            "source": {
                "oneOf": [_BYTES_SOURCE, _object({"type": {"const": "text"}, "data": _TEXT}, "type data")]
            },
        },
        "source",
    ),
    _block("thinking", {"thinking": _TEXT, "signature": _TEXT}, "thinking signature"),
    _block("tool_use", _USE, "id name input"),
    _block(
        "tool_result",
        {
            "tool_use_id": _TEXT,
            "content": {"type": ["string", "array"], "items": _named("Block")},
            "is_error": {"type": "boolean"},
        },
        "tool_use_id",
    ),
    _block("container_upload", {"file_id": _TEXT}, "file_id"),
    _block("server_tool_use", _USE, "id name input"),
    *(
        _block(
            f"{name}_tool_result",
            {"tool_use_id": _TEXT, "content": {"type": "object"}},
            "tool_use_id content",
        )
        for name in sorted(OUR_NAMES)
    ),
    _block(
        "code_execution_result",
        {"tool_use_id": _TEXT, "output": {"type": "object"}, "is_error": {"type": "boolean"}},
        "output",
    ),
]
_COUNTED: Schema = {
    "model": {"type": "string", "minLength": 1},
    "messages": {"type": "array", "items": _named("Message"), "minItems": 1, "maxItems": 100_000},
    "system": {"description": "Text, or text blocks: the model server's to check."},
    "tools": {"type": ["array", "null"], "items": _named("Tool")},
    "tool_choice": {
        "anyOf": [
            {"type": "null"},
            {"type": "object", "maxProperties": 0},
            _object({"type": {"enum": ["auto", "none"]}}, "type"),
            _object({"type": {"const": "any"}}, "type", description="One of the tools is used."),
            _object(
                {"type": {"const": "tool"}, "name": _TEXT}, "type name", description="This tool is used."
            ),
        ]
    },
    "container": {
        "anyOf": [
            {"type": ["string", "null"]},
            _object(
                {"id": {"type": ["string", "null"]}, "skills": {"type": ["array", "null"], "maxItems": 0}}
            ),
        ],
        "description": f"An earlier answer's: its id, or {{id}} with a tool newer than {offered.FIRST_VERSION}.",
    },
}
_SAID = {
    "id": _TEXT,
    "type": {"const": "message"},
    "role": {"const": "assistant"},
    "model": _TEXT,
    "content": {"type": "array", "items": _named("Block")},
    "stop_reason": {"type": ["string", "null"]},
    "stop_sequence": {"type": ["string", "null"]},
    "container": {"oneOf": [{"type": "null"}, _object({"id": _TEXT, "expires_at": _TEXT}, "id expires_at")]},
    "usage": _object(
        {"input_tokens": {"type": "integer"}, "output_tokens": {"type": "integer"}},
        "input_tokens output_tokens",
    ),
}
_BY_HAND: dict[str, Schema] = {
    "MessageRequest": _object(
        {
            **_COUNTED,
            "max_tokens": {"type": "integer", "minimum": 0},
            "stream": {"type": ["boolean", "null"], "description": "Answer as server-sent events."},
        },
        "model max_tokens messages",
        description="The official request. What is not named here is the model server's business, and passed on.",
    ),
    "CountRequest": _object(_COUNTED, "model messages"),
    "Block": {"anyOf": [*_BLOCKS, _object({"type": _TEXT}, "type", title="a block of any other type")]},
    "Tool": {
        "anyOf": [
            _object(
                {"type": {"enum": list(offered.VERSIONS)}, "name": {"const": CODE}},
                "type name",
                title="code execution",
            ),
            _object(
                {
                    "type": {"type": ["string", "null"], "not": {"type": "string", "pattern": _RESERVED}},
                    "name": _TEXT,
                    "description": {"type": ["string", "null"]},
                    "input_schema": {"type": ["object", "null"]},
                },
                title="a tool of the client's",
                description="Its name is no other tool's. With `allowed_callers` code may call it: see the reference.",
            ),
        ]
    },
    "MessageAnswer": _object(_SAID, " ".join(_SAID)),
    "MessageEvents": _object(
        {"event": _TEXT, "data": {"type": "string", "contentMediaType": "application/json"}},
        "event data",
        description="Each event: `message_start`, blocks, `message_delta`, `message_stop`; `ping`; or an `error`.",
    ),
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
        "paths": paths,
        "components": {"schemas": _schemas(table)},
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
    _, made = models_json_schema(modes, ref_template=_REF)
    return {**made["$defs"], **_BY_HAND}


def _described(name: str, operation: Operation) -> Schema:
    parameters = list(operation.parameters)
    if "{id}" in name:
        parameters.insert(
            0, {"name": "id", "in": "path", "required": True, "schema": {**_TEXT, "minLength": 1}}
        )
    errors = {*operation.errors, *((400, 413) if operation.body is not None else ())}
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
            **{str(status): _error(status) for status in sorted(errors)},
        },
    }
    if operation.body is not None:
        described["requestBody"] = {"required": operation.is_body_needed, "content": _content(operation.body)}
    return described


def _content(content: Content) -> Schema:
    return {
        media: {"schema": _named(shape.__name__) if isinstance(shape, type) else shape}
        for media, shape in content.items()
    }


def _error(status: int) -> Schema:
    return {
        "description": "Overloaded" if status == 529 else HTTPStatus(status).phrase,
        "headers": {"request-id": _HEADERS["request-id"]},
        "content": _content(_json(ErrorDocument)),
    }
