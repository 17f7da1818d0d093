"""What an endpoint answers with: a document, or bytes that code has made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from belljar.gateway.frame import json_bytes

HOSTILE = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
}
"""Headers of what a run made: no browser may take it for a page of ours."""


def download(filename: str, size_bytes: int, mime_type: str, pieces: AsyncIterator[bytes]) -> Response:
    """A file, for saving and not for showing."""
    headers = {
        "content-disposition": _disposition(filename),
        "content-length": str(size_bytes),
        **HOSTILE,
    }
    return StreamingResponse(pieces, headers=headers, media_type=mime_type)


def json(document: dict[str, Any]) -> Response:
    """A document as JSON."""
    return Response(json_bytes(document), media_type="application/json")


def _disposition(filename: str) -> str:
    """`attachment`, with the name for old clients in ASCII and for all others by RFC 5987."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in filename)
    encoded = quote(filename.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
