"""A model server over HTTP: what all kinds of them have in common.

How it is asked for a document and for a stream, how its models are kept for a while, and how what fails on the way is
told: with the server's address, and with no key in it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2
from httpx2 import EventSource

from belljar.errors import InvalidRequest, UpstreamError
from belljar.gateway import finite
from belljar.gateway.upstream import Caller, Model

_CONNECT_SECONDS = 10
_EVENT_BYTES = 64 * 1024 * 1024
_ERROR_BYTES = 64 * 1024
_EXCERPT_CHARS = 500
_KEY_CHARS = 8
"""A shorter key is a placeholder, and could stand in any text by chance."""
_ABSENT = frozenset({404, 405, 501})
"""How servers answer that do not have an endpoint."""
_MODELS_SECONDS = 60
"""For so long a list of models is not asked for again."""
_MODELS_KEPT = 64
"""Lists at once: each caller's key can have another."""
KIND_STATUS = {
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
KINDS = frozenset({*KIND_STATUS, "api_error"})
_STATUS_KINDS = {status: kind for kind, status in KIND_STATUS.items()}


@dataclass(frozen=True)
class Address:
    """Where a model server is, and with which key it is asked."""

    url: str = field(repr=False)
    key: str | None = field(default=None, repr=False)
    passes_key_on: bool = False
    """Without a key of its own the caller's is passed on."""
    timeout_seconds: float = 600
    """Its longest silence."""

    def key_for(self, caller: Caller) -> str | None:
        return self.key or (caller.api_key if self.passes_key_on else None)


class ModelServer:
    """Made by `open_server`. `headers` are those of every request, by the key that it is made with."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        address: Address,
        url: str,
        headers: Callable[[str | None], dict[str, str]],
    ) -> None:
        self._client = client
        self._address = address
        self._headers = headers
        self.shown = shown_url(url)
        self._models: dict[str | None, tuple[float, list[Model]]] = {}
        """By the key that asked: when, and what was told."""

    @asynccontextmanager
    async def answering(
        self, url: str, body: Mapping[str, Any], caller: Caller, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx2.Response]:
        """The beginning of an answer with status 200. Raises UpstreamError for any other."""
        sent = self._sent(caller, {"accept": "text/event-stream"}, headers)
        with self._told(caller):
            async with self._client.stream(
                "POST", url, content=json.dumps(body).encode(), headers=sent
            ) as response:
                if response.status_code != 200:
                    raise self._refusal(response, await _beginning(response))
                yield response

    async def whole(
        self,
        method: str,
        url: str,
        caller: Caller,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> dict[str, Any] | None:
        """A JSON object as the answer; None where the server has no such endpoint."""
        sent = self._sent(caller, {"accept": "application/json"}, headers or {})
        with self._told(caller):
            async with self._client.stream(method, url, headers=sent, **more) as response:
                if response.status_code == 200:
                    try:
                        return self.object(await response.aread())
                    except UpstreamError:
                        return None  # a page for people: what answers here is no such endpoint
                body = await _beginning(response)
            if response.status_code in _ABSENT and not _is_envelope(body):
                return None
            raise self._refusal(response, body)

    async def models(self, caller: Caller, listed: Callable[[], Any]) -> list[Model]:
        """What `listed` told within the last minute, to whoever has the same key."""
        key = self._address.key_for(caller)
        now = anyio.current_time()
        self._models = {k: kept for k, kept in self._models.items() if now - kept[0] < _MODELS_SECONDS}
        if key not in self._models:
            found = await listed()
            while len(self._models) >= _MODELS_KEPT:
                del self._models[next(iter(self._models))]
            self._models[key] = now, found
        return self._models[key][1]

    async def events(self, response: httpx2.Response) -> AsyncIterator[str]:
        """The data of each event of a stream that is not empty."""
        async for sent in EventSource(response, max_event_size=_EVENT_BYTES):
            if sent.data:
                yield sent.data

    def object(self, data: str | bytes) -> dict[str, Any]:
        try:
            value = finite.loads(data)
        except (ValueError, RecursionError) as error:
            raise UpstreamError(f"The model server at {self.shown} sent what is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise UpstreamError(f"The model server at {self.shown} sent JSON that is not an object.")
        return value

    def broke_off(self) -> UpstreamError:
        return UpstreamError(f"The model server at {self.shown} broke off in the middle of its answer.")

    def _sent(self, caller: Caller, *more: Mapping[str, str]) -> httpx2.Headers:
        """All headers of a request; what a caller has sent that is not ASCII goes on as the bytes that it was."""
        headers = self._headers(self._address.key_for(caller)) | dict(caller.trace)
        for others in more:
            headers |= others
        return httpx2.Headers(headers, encoding="latin-1")

    @contextmanager
    def _told(self, caller: Caller) -> Iterator[None]:
        """What fails on the way to the server, as an error that names it, and no key."""
        try:
            yield
        except httpx2.ConnectError as error:
            raise UpstreamError(
                f"The model server at {self.shown} is not there: {error}", status=503
            ) from error
        except httpx2.TimeoutException as error:
            raise UpstreamError(
                f"The model server at {self.shown} did not answer in time ({type(error).__name__}).",
                status=504,
                kind="timeout_error",
            ) from error
        except httpx2.RequestError as error:  # a body among them that is not compressed as it says
            raise UpstreamError(
                f"The model server at {self.shown} broke off: {error or type(error).__name__}"
            ) from error
        except UpstreamError as error:
            # Some servers repeat the key that they refuse.
            key = self._address.key_for(caller)
            if key is None or len(key) < _KEY_CHARS or key not in f"{error} {error.details}":
                raise
            hidden = str(error).replace(key, "[the key]")
            raise UpstreamError(
                hidden, status=error.status, kind=error.kind, retry_after=error.retry_after
            ) from None

    def _refusal(self, response: httpx2.Response, body: bytes) -> UpstreamError:
        status = response.status_code if 400 <= response.status_code <= 599 else 502
        kind, message = error_in(body)
        if message is None:
            excerpt = body.decode("utf-8", "replace").strip()[:_EXCERPT_CHARS]
            message = (
                f"The model server at {self.shown} answered {response.status_code}: {excerpt or '(no text)'}"
            )
        by_status = kind_of(status)
        # OpenAI says `invalid_request_error` of a wrong key, too, and some servers have names of their own.
        is_known = kind in KINDS and not (kind == "invalid_request_error" and status in _STATUS_KINDS)
        return UpstreamError(
            message,
            status=status,
            kind=kind if kind is not None and is_known else by_status,
            retry_after=response.headers.get("retry-after"),
            details=details_in(body),
        )


def kind_of(status: int) -> str:
    """The API's type for a status."""
    return _STATUS_KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")


def error_in(body: str | bytes) -> tuple[str | None, str | None]:
    """Type and message of an error, in the forms that servers give it; None for what is not said."""
    document = _read(body)
    error = document.get("error", document) if isinstance(document, dict) else None
    if isinstance(error, str):
        return None, error
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None, None
    return str(error.get("type")), error["message"]


def details_in(body: str | bytes) -> dict[str, Any] | None:
    """What an error in the API's own form says for programs."""
    document = _read(body)
    error = document.get("error") if isinstance(document, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    return details if isinstance(details, dict) else None


def models_in(page: dict[str, Any] | None) -> list[Model]:
    """The models of a list, in its official form or in OpenAI's."""
    data = page.get("data") if page else None
    return [
        model
        for model in (data if isinstance(data, list) else [])
        if isinstance(model, dict) and isinstance(model.get("id"), str)
    ]


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
    document = _read(body)
    return isinstance(document, dict) and document.get("type") == "error"


def _read(body: str | bytes) -> Any:
    """What an error says, in any form; None where it is no JSON."""
    try:
        return finite.loads(body)
    except (ValueError, RecursionError):
        return None


@asynccontextmanager
async def open_server(
    address: Address, url: str, headers: Callable[[str | None], dict[str, str]]
) -> AsyncIterator[ModelServer]:
    """A client of the server, whose endpoint is `url`; the block's end closes its connections."""
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL:
        # Not repeated: it may have a password in it.
        raise InvalidRequest(
            "upstream: the URL of the model server is none: look at its host and port"
        ) from None
    if address.key is not None and not (address.key.isascii() and address.key.isprintable()):
        raise InvalidRequest("upstream: the key of the model server has to be one line of ASCII")
    timeout = httpx2.Timeout(address.timeout_seconds, connect=min(_CONNECT_SECONDS, address.timeout_seconds))
    async with httpx2.AsyncClient(timeout=timeout, limits=httpx2.Limits(max_connections=None)) as client:
        yield ModelServer(client, address, url, headers)
