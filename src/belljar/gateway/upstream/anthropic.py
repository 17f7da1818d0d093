"""Any server that speaks POST /v1/messages."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from httpx2 import EventSource

from belljar.errors import UpstreamError
from belljar.gateway.turn import events_of
from belljar.gateway.upstream import Caller, Event, Request
from belljar.settings import Settings

VERSION = "2023-06-01"
_CONNECT_SECONDS = 10
_EVENT_BYTES = 64 * 1024 * 1024
_ERROR_BYTES = 64 * 1024
_EXCERPT_CHARS = 500
_KIND_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicUpstream:
    """Made by `open_anthropic`."""

    kind = "anthropic"

    def __init__(self, client: httpx2.AsyncClient, base_url: str, api_key: str | None) -> None:
        self._client = client
        self._url = messages_url(base_url)
        self._shown = shown_url(self._url)
        self._api_key = api_key

    async def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        try:
            async with self._client.stream(
                "POST", self._url, content=json.dumps(request).encode(), headers=self._headers(caller)
            ) as response:
                if response.status_code != 200:
                    raise await self._refusal(response)
                async for event in self._events(response):
                    yield event
        except httpx2.ConnectError as error:
            raise UpstreamError(
                f"The model server at {self._shown} is not there: {error}", status=503
            ) from error
        except httpx2.TimeoutException as error:
            raise UpstreamError(
                f"The model server at {self._shown} did not answer in time ({type(error).__name__}).",
                status=504,
                kind="timeout_error",
            ) from error
        except httpx2.TransportError as error:
            raise UpstreamError(
                f"The model server at {self._shown} broke off: {error or type(error).__name__}"
            ) from error

    async def _events(self, response: httpx2.Response) -> AsyncIterator[Event]:
        if "application/json" in response.headers.get("content-type", ""):
            # A server that cannot stream answers with the message itself.
            message = _object(await response.aread(), self._shown)
            if "error" in message:
                raise _error_event(message)
            if not _is_message(message):
                raise UpstreamError(
                    f"The model server at {self._shown} answered with JSON that is no message: does it speak "
                    "/v1/messages?"
                )
            for event in events_of(message):
                yield event
            return
        async for sent in EventSource(response, max_event_size=_EVENT_BYTES):
            if not sent.data or sent.data == "[DONE]":
                continue
            event = _object(sent.data.encode(), self._shown)
            if event.get("type") == "error":
                raise _error_event(event)
            yield event
            if event.get("type") == "message_stop":
                return
        raise UpstreamError(f"The model server at {self._shown} broke off in the middle of its answer.")

    def _headers(self, caller: Caller) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream",
            "anthropic-version": VERSION,
        }
        if key := self._api_key or caller.api_key:
            headers["x-api-key"] = key
        if betas := [beta for beta in caller.betas if not beta.startswith("code-execution")]:
            headers["anthropic-beta"] = ",".join(betas)
        return headers

    async def _refusal(self, response: httpx2.Response) -> UpstreamError:
        body = b""
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _ERROR_BYTES:
                break
        status = response.status_code if response.status_code >= 400 else 502
        retry_after = response.headers.get("retry-after")
        try:
            error = json.loads(body)["error"]
            kind, message = str(error["type"]), str(error["message"])
        except (ValueError, KeyError, TypeError):
            kind = next((name for name, code in _KIND_STATUS.items() if code == status), "api_error")
            excerpt = body.decode("utf-8", "replace").strip()[:_EXCERPT_CHARS]
            message = (
                f"The model server at {self._shown} answered {response.status_code}: {excerpt or '(no text)'}"
            )
        return UpstreamError(message, status=status, kind=kind, retry_after=retry_after)


def messages_url(base_url: str) -> str:
    """The endpoint below a base URL, given with or without `/v1`."""
    url = base_url.rstrip("/")
    if url.endswith("/v1/messages"):
        return url
    return f"{url}/messages" if url.endswith("/v1") else f"{url}/v1/messages"


def shown_url(url: str) -> str:
    """The URL as it may stand in a message: without the user, password and query that may be keys."""
    parsed = httpx2.URL(url)
    port = f":{parsed.port}" if parsed.port is not None else ""
    return f"{parsed.scheme}://{parsed.host}{port}{parsed.path}"


def _object(data: bytes, shown: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise UpstreamError(f"The model server at {shown} sent what is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UpstreamError(f"The model server at {shown} sent JSON that is not an object.")
    return value


def _is_message(document: dict[str, Any]) -> bool:
    content = document.get("content")
    return isinstance(content, list) and all(isinstance(block, dict) and "type" in block for block in content)


def _error_event(event: Event) -> UpstreamError:
    error = event.get("error")
    error = error if isinstance(error, dict) else {}
    kind = str(error.get("type") or "api_error")
    message = str(error.get("message") or "The model server reported an error without a message.")
    return UpstreamError(message, status=_KIND_STATUS.get(kind, 502), kind=kind)


@asynccontextmanager
async def open_anthropic(base_url: str, settings: Settings) -> AsyncIterator[AnthropicUpstream]:
    """A client of the server at `base_url`; the block's end closes its connections."""
    timeout = httpx2.Timeout(settings.upstream_timeout_seconds, connect=_CONNECT_SECONDS)
    api_key = settings.upstream_api_key or os.environ.get("ANTHROPIC_API_KEY") or None
    async with httpx2.AsyncClient(timeout=timeout, limits=httpx2.Limits(max_connections=None)) as client:
        yield AnthropicUpstream(client, base_url, api_key)
