"""Any server that speaks POST /v1/messages."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import quote

import anyio
import httpx2
from httpx2 import EventSource

from belljar.errors import UpstreamError
from belljar.gateway.turn import events_of
from belljar.gateway.upstream import Caller, Event, Model, Request
from belljar.settings import Settings

VERSION = "2023-06-01"
_CONNECT_SECONDS = 10
_EVENT_BYTES = 64 * 1024 * 1024
_ERROR_BYTES = 64 * 1024
_EXCERPT_CHARS = 500
_ABSENT = frozenset({404, 405, 501})
"""How servers answer that do not have an endpoint."""
_MODELS_SECONDS = 60
"""For so long a list of models is not asked for again."""
_MODELS_KEPT = 64
"""Lists at once: each caller's key can have another."""
_MODELS_PAGES = 20
_KIND_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_KINDS = frozenset({*_KIND_STATUS, "api_error"})
_STATUS_KINDS = {status: kind for kind, status in _KIND_STATUS.items()}


class AnthropicUpstream:
    """Made by `open_anthropic`."""

    kind = "anthropic"

    def __init__(
        self, client: httpx2.AsyncClient, base_url: str, api_key: str | None, *, cites: bool
    ) -> None:
        self._client = client
        self._cites = cites
        self._url = messages_url(base_url)
        self._models_url = f"{self._url.removesuffix('/messages')}/models"
        self._shown = shown_url(self._url)
        self._api_key = api_key
        self._models: dict[str | None, tuple[float, list[Model]]] = {}
        """By the key that asked: when, and what was told."""

    def cites(self, model_id: str) -> bool:
        return self._cites

    async def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        body = json.dumps(request).encode()
        headers = self._headers(caller, "text/event-stream")
        with self._told():
            async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                if response.status_code != 200:
                    raise self._refusal(response, await _beginning(response))
                async for event in self._events(response):
                    yield event

    async def count_tokens(self, request: Request, caller: Caller) -> int | None:
        body = json.dumps(request).encode()
        answer = await self._whole("POST", f"{self._url}/count_tokens", caller, content=body)
        tokens = answer.get("input_tokens") if answer else None
        return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) else None

    async def models(self, caller: Caller) -> list[Model]:
        key = self._api_key or caller.api_key
        now = anyio.current_time()
        self._models = {k: kept for k, kept in self._models.items() if now - kept[0] < _MODELS_SECONDS}
        if key not in self._models:
            listed = await self._listed(caller)
            while len(self._models) >= _MODELS_KEPT:
                del self._models[next(iter(self._models))]
            self._models[key] = now, listed
        return self._models[key][1]

    async def model(self, model_id: str, caller: Caller) -> Model | None:
        for model in await self.models(caller):
            if model["id"] == model_id:
                return model
        if not model_id.strip("."):
            return None  # in a URL it would lead out of the models
        try:
            found = await self._whole("GET", f"{self._models_url}/{quote(model_id, safe='')}", caller)
        except UpstreamError as error:
            if error.status == 404:
                return None
            raise
        return found if found and isinstance(found.get("id"), str) else None

    async def _listed(self, caller: Caller) -> list[Model]:
        """All pages of the upstream's list, in its own form or in OpenAI's, which many local servers have."""
        listed: dict[str, Model] = {}
        query = {"limit": "1000"}
        for _ in range(_MODELS_PAGES):
            page = await self._whole("GET", self._models_url, caller, params=query)
            data = page.get("data") if page else None
            known = len(listed)
            for model in data if isinstance(data, list) else []:
                if isinstance(model, dict) and isinstance(model.get("id"), str):
                    listed.setdefault(model["id"], model)
            # A server that does not know `after_id` would send the same page for ever.
            if not page or page.get("has_more") is not True or len(listed) == known:
                break
            query["after_id"] = list(listed)[-1]
        return list(listed.values())

    async def _whole(self, method: str, url: str, caller: Caller, **more: Any) -> dict[str, Any] | None:
        """A JSON object as the answer; None where the server has no such endpoint."""
        headers = self._headers(caller, "application/json")
        with self._told():
            async with self._client.stream(method, url, headers=headers, **more) as response:
                if response.status_code == 200:
                    try:
                        return _object(await response.aread(), self._shown)
                    except UpstreamError:
                        return None  # a page for people: what answers here is no such endpoint
                body = await _beginning(response)
        if response.status_code in _ABSENT and not _is_envelope(body):
            return None
        raise self._refusal(response, body)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What fails on the way to the server, as an error that names it."""
        try:
            yield
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

    def _headers(self, caller: Caller, accept: str) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "accept": accept,
            "anthropic-version": VERSION,
        }
        if key := self._api_key or caller.api_key:
            headers["x-api-key"] = key
        if betas := [beta for beta in caller.betas if not beta.startswith("code-execution")]:
            headers["anthropic-beta"] = ",".join(betas)
        return headers

    def _refusal(self, response: httpx2.Response, body: bytes) -> UpstreamError:
        status = response.status_code if response.status_code >= 400 else 502
        retry_after = response.headers.get("retry-after")
        try:
            error = json.loads(body)["error"]
            kind, message = str(error["type"]), str(error["message"])
        except (ValueError, KeyError, TypeError):
            excerpt = body.decode("utf-8", "replace").strip()[:_EXCERPT_CHARS]
            kind, message = (
                "",
                (
                    f"The model server at {self._shown} answered {response.status_code}: {excerpt or '(no text)'}"
                ),
            )
        if kind not in _KINDS:
            # Some servers have names of their own, which no client would know.
            kind = _STATUS_KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")
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


async def _beginning(response: httpx2.Response) -> bytes:
    """As much of an error as is worth reading."""
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _ERROR_BYTES:
            break
    return body


def _is_envelope(body: bytes) -> bool:
    """Whether an error is the API's own: it knows the endpoint, and not what was asked for."""
    try:
        return bool(json.loads(body)["type"] == "error")
    except (ValueError, KeyError, TypeError):
        return False


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
    kind = error.get("type")
    kind = kind if kind in _KINDS else "api_error"
    message = str(error.get("message") or "The model server reported an error without a message.")
    return UpstreamError(message, status=_KIND_STATUS.get(kind, 502), kind=kind)


@asynccontextmanager
async def open_anthropic(base_url: str, settings: Settings) -> AsyncIterator[AnthropicUpstream]:
    """A client of the server at `base_url`; the block's end closes its connections."""
    timeout = httpx2.Timeout(settings.upstream_timeout_seconds, connect=_CONNECT_SECONDS)
    api_key = settings.upstream_api_key or os.environ.get("ANTHROPIC_API_KEY") or None
    async with httpx2.AsyncClient(timeout=timeout, limits=httpx2.Limits(max_connections=None)) as client:
        yield AnthropicUpstream(client, base_url, api_key, cites=_cites(base_url, settings))


def _cites(base_url: str, settings: Settings) -> bool:
    """Local servers of this API refuse `search_result` blocks, or read nothing in them."""
    if settings.search_citations != "auto":
        return settings.search_citations == "on"
    return f".{httpx2.URL(base_url).host}".endswith(".anthropic.com")
