"""Any server that speaks POST /v1/messages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx2

from belljar.errors import UpstreamError
from belljar.gateway.turn import events_of
from belljar.gateway.upstream import Caller, Event, Model, Request, Traits
from belljar.gateway.upstream.checked import Check, block_of, checked
from belljar.gateway.upstream.chunks import SIGNATURE
from belljar.gateway.upstream.server import KIND_STATUS, KINDS, Address, ModelServer, models_in, open_server

VERSION = "2023-06-01"
_MODELS_PAGES = 20


class AnthropicUpstream:
    """Made by `open_anthropic`."""

    kind = "anthropic"

    def __init__(self, server: ModelServer, url: str, *, cites: bool) -> None:
        self._server = server
        self._url = url
        self._cites = cites
        self._models_url = f"{self._url.removesuffix('/messages')}/models"

    def traits(self, model_id: str) -> Traits:
        return Traits(cites=self._cites)

    async def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        body = _without_foreign_thinking(request)
        async with self._server.answering(self._url, body, caller, _betas(caller)) as response:
            async for event in self._events(response):
                yield event

    async def count_tokens(self, request: Request, caller: Caller) -> int | None:
        body = json.dumps(_without_foreign_thinking(request)).encode()
        url = f"{self._url}/count_tokens"
        answer = await self._server.whole("POST", url, caller, _betas(caller), content=body)
        tokens = answer.get("input_tokens") if answer else None
        return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) else None

    async def models(self, caller: Caller) -> list[Model]:
        return await self._server.models(caller, lambda: self._listed(caller))

    async def model(self, model_id: str, caller: Caller) -> Model | None:
        for model in await self.models(caller):
            if model["id"] == model_id:
                return model
        if not model_id.strip("."):
            return None  # in a URL it would lead out of the models
        try:
            url = f"{self._models_url}/{quote(model_id, safe='')}"
            found = await self._server.whole("GET", url, caller, _betas(caller))
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
            page = await self._server.whole("GET", self._models_url, caller, _betas(caller), params=query)
            known = len(listed)
            for model in models_in(page):
                listed.setdefault(model["id"], model)
            # A server that does not know `after_id` would send the same page for ever.
            if not page or page.get("has_more") is not True or len(listed) == known:
                break
            query["after_id"] = list(listed)[-1]
        return list(listed.values())

    async def _events(self, response: httpx2.Response) -> AsyncIterator[Event]:
        if "application/json" in response.headers.get("content-type", ""):
            # A server that cannot stream answers with the message itself.
            message = self._server.object(await response.aread())
            if "error" in message:
                raise _error_event(message)
            if not isinstance(message.get("content"), list):
                raise UpstreamError(
                    f"The model server at {self._server.shown} answered with JSON that is no message: does it speak "
                    "/v1/messages?"
                )
            blocks = [block_of(block) for block in message["content"]]
            for event in checked(events_of({**message, "content": blocks})):
                yield event
            return
        check = Check()
        async for data in self._server.events(response):
            if data == "[DONE]":
                continue
            event = self._server.object(data)
            if event.get("type") == "error":
                raise _error_event(event)
            for out in check.events(event):
                yield out
            if event.get("type") == "message_stop":
                return
        raise self._server.broke_off()


def messages_url(base_url: str) -> str:
    """The endpoint below a base URL, given with or without `/v1`."""
    url = base_url.rstrip("/")
    if url.endswith("/v1/messages"):
        return url
    return f"{url}/messages" if url.endswith("/v1") else f"{url}/v1/messages"


def _headers(key: str | None) -> dict[str, str]:
    headers = {"content-type": "application/json", "anthropic-version": VERSION}
    return headers | {"x-api-key": key} if key else headers


def _betas(caller: Caller) -> dict[str, str]:
    betas = [beta for beta in caller.betas if not beta.startswith("code-execution")]
    return {"anthropic-beta": ",".join(betas)} if betas else {}


def _without_foreign_thinking(request: Request) -> Request:
    """A conversation can change its model. Thinking of one that signs nothing would be refused by one that does."""

    def is_foreign(block: Any) -> bool:
        return block.get("type") == "thinking" and str(block.get("signature")).startswith(SIGNATURE)

    messages = []
    for message in request.get("messages") or []:
        content = message.get("content")
        if message.get("role") == "assistant" and isinstance(content, list) and any(map(is_foreign, content)):
            kept = [block for block in content if not is_foreign(block)]
            if not kept:
                continue
            message = {**message, "content": kept}
        messages.append(message)
    return {**request, "messages": messages}


def _error_event(event: Event) -> UpstreamError:
    error = event.get("error")
    error = error if isinstance(error, dict) else {}
    kind = str(error.get("type"))
    kind = kind if kind in KINDS else "api_error"
    message = str(error.get("message") or "The model server reported an error without a message.")
    details = error.get("details")
    return UpstreamError(
        message,
        status=KIND_STATUS.get(kind, 502),
        kind=kind,
        details=details if isinstance(details, dict) else None,
    )


@asynccontextmanager
async def open_anthropic(address: Address, citations: str) -> AsyncIterator[AnthropicUpstream]:
    """A client of the server there; the block's end closes its connections. `citations` as in the settings."""
    url = messages_url(address.url)
    async with open_server(address, url, _headers) as server:
        yield AnthropicUpstream(server, url, cites=_cites(address.url, citations))


def _cites(base_url: str, citations: str) -> bool:
    """Local servers of this API refuse `search_result` blocks, or read nothing in them."""
    if citations != "auto":
        return citations == "on"
    return f".{httpx2.URL(base_url).host}".endswith(".anthropic.com")
