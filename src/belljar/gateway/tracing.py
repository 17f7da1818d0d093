"""Whether requests leave spans, and what of a client's own trace goes on to the model server."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from belljar.errors import InvalidRequest

if TYPE_CHECKING:
    from belljar.gateway.spans import Tracing

Headers = tuple[tuple[str, str], ...]

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(r"[ -~]{1,512}")


def passed_on(headers: Mapping[str, str]) -> Headers:
    """The headers of W3C's Trace Context that a client sends, where they are as they should be."""
    parent = headers.get("traceparent")
    if parent is None or not _TRACEPARENT.fullmatch(parent):
        return ()
    state = headers.get("tracestate", "")
    return (("traceparent", parent), *([("tracestate", state)] if _TRACESTATE.fullmatch(state) else []))


def _is_url(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of the port, or of the host
        return False


@asynccontextmanager
async def open_tracing(endpoint: str) -> AsyncIterator[Tracing | None]:
    """What makes the spans and sends them to `endpoint`; None where there is none.

    The block's end sends what is left. Raises InvalidRequest where the endpoint is no URL, or where what sends spans is
    not installed.
    """
    if not endpoint:
        yield None
        return
    if not _is_url(endpoint):
        # Not repeated: it may have a password in it.
        raise InvalidRequest(
            "BELLJAR_OTEL_ENDPOINT has to be the URL of a collector, as http://127.0.0.1:4318, and is none"
        )
    try:
        from belljar.gateway.spans import open_spans
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise InvalidRequest(
            "BELLJAR_OTEL_ENDPOINT asks for spans, and what sends them is not installed: run `make setup-otel` in "
            "Belljar's checkout, or elsewhere `pip install 'belljar[otel]'`"
        ) from error
    async with open_spans(endpoint) as tracing:
        yield tracing
