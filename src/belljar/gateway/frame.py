"""Answers as bytes."""

from __future__ import annotations

import json
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


_LINE_ENDS = (("\x85", "\\u0085"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
"""Characters that end a line for `str.splitlines`, and for clients that read streams with it, but neither for JSON,
which leaves them as they are, nor for server-sent events."""


def json_bytes(value: object) -> bytes:
    """JSON as UTF-8, on one line whoever counts them; a lone surrogate, which UTF-8 has no form for, as JSON's own
    escape.
    """
    text = _ENCODER.encode(value)
    if not text.isascii():
        for character, escape in _LINE_ENDS:
            if character in text:
                text = text.replace(character, escape)
    return text.encode("utf-8", "backslashreplace")


def frame(event: dict[str, Any]) -> bytes:
    """One server-sent event, named by its `type`."""
    return f"event: {event['type']}\ndata: ".encode() + json_bytes(event) + b"\n\n"
