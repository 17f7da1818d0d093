"""Any server that speaks POST /v1/chat/completions, with tools."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from belljar.errors import UpstreamError
from belljar.gateway.upstream import Caller, Event, Model, Request, Traits
from belljar.gateway.upstream.chat import body
from belljar.gateway.upstream.checked import Check
from belljar.gateway.upstream.chunks import Translation
from belljar.gateway.upstream.server import Address, ModelServer, models_in, open_server

_PATH = "/chat/completions"
_LIMIT = "max_completion_tokens"
_COUNTS = "stream_options"
_KEPT = 256
"""Models of which it is remembered what they want otherwise."""


class OpenAIUpstream:
    """Made by `open_openai`."""

    kind = "openai"

    def __init__(self, server: ModelServer, url: str) -> None:
        self._server = server
        self._url = url
        self._models_url = f"{self._url.removesuffix(_PATH)}/models"
        self._otherwise: dict[str, frozenset[str]] = {}
        """By model: which of the fields where servers differ is to be done the other way."""

    def traits(self, model_id: str) -> Traits:
        return Traits(is_guided=True)

    async def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        has_begun = False
        while True:
            known = self._otherwise.get(request["model"], frozenset())
            limit_name = _LIMIT if _LIMIT in known else "max_tokens"
            asked = body(request, limit_name, counts=_COUNTS not in known)
            try:
                async with self._server.answering(self._url, asked, caller, {}) as response:
                    async for event in self._events(request, response):
                        has_begun = True
                        yield event
                return
            except UpstreamError as error:
                # A server that refuses one of these fields names it, and the other way is tried at once.
                named = {name for name in (_LIMIT, _COUNTS) if name in str(error)} - known
                if has_begun or error.status not in {400, 422} or not named:
                    raise
                while len(self._otherwise) >= _KEPT:
                    del self._otherwise[next(iter(self._otherwise))]
                self._otherwise[request["model"]] = known | named

    async def count_tokens(self, request: Request, caller: Caller) -> int | None:
        return None

    async def models(self, caller: Caller) -> list[Model]:
        return await self._server.models(caller, lambda: self._listed(caller))

    async def model(self, model_id: str, caller: Caller) -> Model | None:
        return next((model for model in await self.models(caller) if model["id"] == model_id), None)

    async def _listed(self, caller: Caller) -> list[Model]:
        return models_in(await self._server.whole("GET", self._models_url, caller))

    async def _events(self, request: Request, response: httpx2.Response) -> AsyncIterator[Event]:
        translation = Translation(request["model"], tuple(request.get("stop_sequences") or ()))
        check = Check()
        if "application/json" in response.headers.get("content-type", ""):
            # A server that cannot stream answers with the completion itself.
            completion = self._server.object(await response.aread())
            if not completion.get("error") and not completion.get("choices"):
                raise UpstreamError(
                    f"The model server at {self._server.shown} answered with JSON that is no completion: does it "
                    "speak /v1/chat/completions?"
                )
            for event in translation.add(completion):
                for out in check.events(event):
                    yield out
        else:
            is_done = False
            async for data in self._server.events(response):
                if data.strip() == "[DONE]":
                    is_done = True
                    break
                for event in translation.add(self._server.object(data)):
                    for out in check.events(event):
                        yield out
            # Some servers forget the [DONE], and some the reason: one of the two has to be there.
            if not translation.has_started or not (is_done or translation.is_finished):
                raise self._server.broke_off()
        for event in translation.end():
            for out in check.events(event):
                yield out


def completions_url(base_url: str) -> str:
    """The endpoint below a base URL, given with or without `/v1`, or itself."""
    url = base_url.rstrip("/")
    if url.endswith(_PATH):
        return url
    return f"{url}{_PATH}" if url.endswith("/v1") else f"{url}/v1{_PATH}"


def _headers(key: str | None) -> dict[str, str]:
    headers = {"content-type": "application/json"}
    return headers | {"authorization": f"Bearer {key}"} if key else headers


@asynccontextmanager
async def open_openai(address: Address) -> AsyncIterator[OpenAIUpstream]:
    """A client of the server there; the block's end closes its connections."""
    url = completions_url(address.url)
    async with open_server(address, url, _headers) as server:
        yield OpenAIUpstream(server, url)
