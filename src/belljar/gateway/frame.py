"""Answers as bytes."""

from __future__ import annotations

import json
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def json_bytes(value: object) -> bytes:
    """JSON as UTF-8; a lone surrogate, which UTF-8 has no form for, as JSON's own escape."""
    return _ENCODER.encode(value).encode("utf-8", "backslashreplace")


def frame(event: dict[str, Any]) -> bytes:
    """One server-sent event, named by its `type`."""
    return f"event: {event['type']}\ndata: ".encode() + json_bytes(event) + b"\n\n"
