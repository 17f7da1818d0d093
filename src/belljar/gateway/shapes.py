"""The shapes of messages, written out by hand for the API's description.

What the endpoints read of a message is a part of this only: the rest is the model server's business, and travels on.
"""

from __future__ import annotations

from typing import Any

from belljar.gateway import offered
from belljar.gateway.search import declared as search_tool
from belljar.gateway.tools import CODE, OUR_NAMES
from belljar.wire.execution import BASE64_PATTERN

Schema = dict[str, Any]

REF = "#/components/schemas/{model}"
TEXT: Schema = {"type": "string"}


def named(schema: str) -> Schema:
    return {"$ref": REF.format(model=schema)}


def _object(properties: Schema, required: str = "", **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": required.split(), **more}


def _block(kind: str, properties: Schema, required: str = "") -> Schema:
    return _object({"type": {"const": kind}, **properties}, f"type {required}", title=kind)


_RESERVED = f"^(code_execution|{search_tool.PREFIX}|custom$|{'|'.join(offered.OTHERS_TOOLS)})"
"""Types of tools that are not just passed on: ours have a form of their own, and those of other servers are refused."""
_USE = {"id": TEXT, "name": TEXT, "input": {"type": "object"}}
_BYTES_SOURCE = _object(
    {
        "type": {"const": "base64"},
        "media_type": TEXT,
        "data": {"type": "string", "contentEncoding": "base64", "pattern": BASE64_PATTERN},
    },
    "type media_type data",
)
_FILE_SOURCE = _object({"type": {"const": "file"}, "file_id": TEXT}, "type file_id")
_BLOCKS = [
    _block("text", {"text": TEXT}, "text"),
    _block("image", {"source": {"oneOf": [_BYTES_SOURCE, _FILE_SOURCE]}}, "source"),
    _block(
        "document",
        {
            "title": {"type": ["string", "null"]},
            "source": {
                "oneOf": [
                    _BYTES_SOURCE,
                    _FILE_SOURCE,
                    _object({"type": {"const": "text"}, "data": TEXT}, "type data"),
                ]
            },
        },
        "source",
    ),
    _block("thinking", {"thinking": TEXT, "signature": TEXT}, "thinking signature"),
    _block("tool_use", _USE, "id name input"),
    _block(
        "tool_result",
        {
            "tool_use_id": TEXT,
            "content": {"type": ["string", "array"], "items": named("Block")},
            "is_error": {"type": "boolean"},
        },
        "tool_use_id",
    ),
    _block("container_upload", {"file_id": TEXT}, "file_id"),
    _block("server_tool_use", _USE, "id name input"),
    *(
        _block(
            f"{name}_tool_result",
            {"tool_use_id": TEXT, "content": {"type": ["object", "array"]}},
            "tool_use_id content",
        )
        for name in sorted(OUR_NAMES)
    ),
    _block(
        "code_execution_result",
        {"tool_use_id": TEXT, "output": {"type": "object"}, "is_error": {"type": "boolean"}},
        "output",
    ),
]
_LISTS = ("allowed_domains", "blocked_domains")
_DOMAINS: Schema = {"type": ["array", "null"], "items": TEXT}
_PLACE = _object(
    {
        "type": {"const": "approximate"},
        **{name: {"type": ["string", "null"]} for name in ("city", "region", "country", "timezone")},
    },
    "type",
)
_COUNTED: Schema = {
    "model": {"type": "string", "minLength": 1},
    "messages": {"type": "array", "items": named("Message"), "minItems": 1, "maxItems": 100_000},
    "system": {"type": ["string", "array", "null"], "items": named("Block")},
    "tools": {"type": ["array", "null"], "items": named("Tool")},
    "tool_choice": {
        "oneOf": [
            {"type": "null"},
            _object({"type": {"enum": ["auto", "any", "none"]}}, "type"),
            _object({"type": {"const": "tool"}, "name": {"const": CODE}}, "type name", title="by its name"),
        ]
    },
    "container": {
        "anyOf": [
            {"type": ["string", "null"]},
            _object(
                {
                    "id": {"type": ["string", "null"]},
                    "skills": {"type": ["array", "null"], "maxItems": 0},
                    "runtime": {"type": ["string", "null"]},
                }
            ),
        ],
        "description": f"An earlier answer's: its id, or {{id}} with a tool newer than {offered.FIRST_VERSION}; "
        "or {runtime}, for a new one that has it.",
    },
}
_TOGETHER: list[Schema] = [
    {
        "if": _object({"tool_choice": _object({"type": {"const": "tool"}}, "type")}, "tool_choice"),
        "then": _object(
            {"tools": {"type": "array", "contains": _object({"name": {"const": CODE}}, "name")}}, "tools"
        ),
    },
    {
        "if": _object({"container": {"type": "object"}}, "container"),
        "then": _object(
            {"tools": {"not": {"contains": _object({"type": {"const": offered.FIRST_VERSION}}, "type")}}}
        ),
    },
]
"""What one field allows another: a tool that is chosen is offered; the first version knows a container by its id."""
_SAID = {
    "id": TEXT,
    "type": {"const": "message"},
    "role": {"const": "assistant"},
    "model": TEXT,
    "content": {"type": "array", "items": named("Block")},
    "stop_reason": {"type": ["string", "null"]},
    "stop_sequence": {"type": ["string", "null"]},
    "stop_details": {"type": ["object", "null"]},
    "container": {"oneOf": [{"type": "null"}, _object({"id": TEXT, "expires_at": TEXT}, "id expires_at")]},
    "usage": _object(
        {"input_tokens": {"type": "integer"}, "output_tokens": {"type": "integer"}},
        "input_tokens output_tokens",
    ),
}
_CALLERS: Schema = {
    "oneOf": [
        {"type": "null"},
        {"type": "array", "minItems": 1, "items": {"enum": sorted(offered.CALLERS)}},
    ],
    "description": "Code may call it where the request offers code execution of the version that is named.",
}
BY_HAND: dict[str, Schema] = {
    "MessageRequest": _object(
        {
            **_COUNTED,
            "max_tokens": {"type": "integer", "minimum": 0},
            "stream": {"type": ["boolean", "null"], "description": "Answer as server-sent events."},
        },
        "model max_tokens messages",
        allOf=_TOGETHER,
        description="The official request. What is not named here is the model server's business, and passed on.",
    ),
    "CountRequest": _object(_COUNTED, "model messages", allOf=_TOGETHER),
    "Block": {"anyOf": [*_BLOCKS, _object({"type": TEXT}, "type", title="a block of any other type")]},
    "Tool": {
        "oneOf": [
            _object(
                {
                    "type": {"enum": list(offered.VERSIONS)},
                    "name": {"const": CODE},
                    "allowed_callers": _CALLERS,
                },
                "type name",
                title="code execution",
            ),
            _object(
                {
                    "type": {"enum": list(search_tool.VERSIONS)},
                    "name": {"const": search_tool.NAME},
                    "max_uses": {"type": ["integer", "null"], "minimum": 1},
                    "allowed_domains": _DOMAINS,
                    "blocked_domains": _DOMAINS,
                    "user_location": {"oneOf": [{"type": "null"}, _PLACE]},
                    "allowed_callers": _CALLERS,
                },
                "type name",
                title="web search",
                description="Only one of the two lists of domains may have entries.",
                allOf=[{"anyOf": [_object({name: {"maxItems": 0}}) for name in _LISTS]}],
            ),
            _object(
                {
                    "type": {"enum": ["custom", None]},
                    "name": {"type": "string", "minLength": 1},
                    "description": {"type": ["string", "null"]},
                    "input_schema": {"type": "object"},
                    "allowed_callers": _CALLERS,
                },
                "name input_schema",
                title="a tool of the client's",
                description="Its name is no other tool's. With `allowed_callers` code may call it: see the reference.",
            ),
            _object(
                {"type": {"type": "string", "minLength": 1, "not": {"pattern": _RESERVED}}, "name": TEXT},
                "type",
                title="a tool of another type, which the model server may know",
            ),
        ]
    },
    "MessageAnswer": _object(_SAID, " ".join(_SAID)),
    "MessageEvents": _object(
        {"event": TEXT, "data": {"type": "string", "contentMediaType": "application/json"}},
        "event data",
        description="Each event: `message_start`, blocks, `message_delta`, `message_stop`; `ping`; "
        "`belljar_output`, where it is asked for; or an `error`.",
    ),
    "ExecutionEvents": _object(
        {"event": TEXT, "data": {"type": "string", "contentMediaType": "application/json"}},
        "event data",
        description="Each event: `started`; outputs, `update_display_data` and `clear_output` as they happen; `ping`; "
        "`finished` with the `Execution`, or an `error` with an `error` of ours.",
    ),
}
