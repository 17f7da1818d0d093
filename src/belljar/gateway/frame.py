"""Answers as bytes."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_LINE_ENDS = tuple((end.encode(), f"\\u{ord(end):04x}".encode()) for end in "\x85\u2028\u2029")
"""Characters that end a line for `str.splitlines`, and for clients that read streams with it, but neither for JSON,
which leaves them as they are, nor for server-sent events."""


def json_bytes(value: object) -> bytes:
    """JSON as UTF-8, on one line whoever counts them; a lone surrogate, which UTF-8 has no form for, as JSON's own
    escape.
    """
    try:
        data = to_json(
            value
        )  # of a large answer there is no copy as text meanwhile, which may be four times as large
    except PydanticSerializationError:  # half a character, or much nesting
        data = _ENCODER.encode(value).encode("utf-8", "backslashreplace")
    if not data.isascii():
        for end, escape in _LINE_ENDS:
            if end in data:
                data = data.replace(end, escape)
    return data


def frame(event: dict[str, Any]) -> bytes:
    """One server-sent event, named by its `type`."""
    return b"".join((b"event: ", event["type"].encode(), b"\ndata: ", json_bytes(event), b"\n\n"))
