"""The shapes of messages, written out by hand for the API's description.

What the endpoints read of a message is a part of this only: the rest is the model server's business, and travels on.
"""

from __future__ import annotations

from typing import Any

from belljar.gateway import offered
from belljar.gateway.tools import CODE, OUR_NAMES
from belljar.wire.execution import BASE64_PATTERN, FILE_NAME_PATTERN

Schema = dict[str, Any]

REF = "#/components/schemas/{model}"
TEXT: Schema = {"type": "string"}


def named(schema: str) -> Schema:
    return {"$ref": REF.format(model=schema)}


def _object(properties: Schema, required: str = "", **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": required.split(), **more}


def _block(kind: str, properties: Schema, required: str = "") -> Schema:
    return _object({"type": {"const": kind}, **properties}, f"type {required}", title=kind)


_RESERVED = f"^(code_execution|{'|'.join(offered.OTHERS_TOOLS)})"
"""Types of tools that run on a server: those of ours have a form of their own, and others are refused."""
_USE = {"id": TEXT, "name": TEXT, "input": {"type": "object"}}
_BYTES_SOURCE = _object(
    {
        "type": {"const": "base64"},
        "media_type": TEXT,
        "data": {"type": "string", "contentEncoding": "base64", "pattern": BASE64_PATTERN},
    },
    "type media_type data",
)
_BLOCKS = [
    _block("text", {"text": TEXT}, "text"),
    _block("image", {"source": _BYTES_SOURCE}, "source"),
    _block(
        "document",
        {
            "title": {"type": "string", "maxLength": 255, "pattern": FILE_NAME_PATTERN},
            "source": {
                "oneOf": [_BYTES_SOURCE, _object({"type": {"const": "text"}, "data": TEXT}, "type data")]
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
            {"tool_use_id": TEXT, "content": {"type": "object"}},
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
_COUNTED: Schema = {
    "model": {"type": "string", "minLength": 1},
    "messages": {"type": "array", "items": named("Message"), "minItems": 1, "maxItems": 100_000},
    "system": {"description": "Text, or text blocks: the model server's to check."},
    "tools": {"type": ["array", "null"], "items": named("Tool")},
    "tool_choice": {
        "anyOf": [
            {"type": "null"},
            {"type": "object", "maxProperties": 0},
            _object({"type": {"enum": ["auto", "none"]}}, "type"),
            _object({"type": {"const": "any"}}, "type", description="One of the tools is used."),
            _object({"type": {"const": "tool"}, "name": TEXT}, "type name", description="This tool is used."),
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
    "id": TEXT,
    "type": {"const": "message"},
    "role": {"const": "assistant"},
    "model": TEXT,
    "content": {"type": "array", "items": named("Block")},
    "stop_reason": {"type": ["string", "null"]},
    "stop_sequence": {"type": ["string", "null"]},
    "container": {"oneOf": [{"type": "null"}, _object({"id": TEXT, "expires_at": TEXT}, "id expires_at")]},
    "usage": _object(
        {"input_tokens": {"type": "integer"}, "output_tokens": {"type": "integer"}},
        "input_tokens output_tokens",
    ),
}
BY_HAND: dict[str, Schema] = {
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
    "Block": {"anyOf": [*_BLOCKS, _object({"type": TEXT}, "type", title="a block of any other type")]},
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
                    "name": TEXT,
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
        {"event": TEXT, "data": {"type": "string", "contentMediaType": "application/json"}},
        "event data",
        description="Each event: `message_start`, blocks, `message_delta`, `message_stop`; `ping`; or an `error`.",
    ),
}
