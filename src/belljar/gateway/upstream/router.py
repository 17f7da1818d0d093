"""Models by name: each request goes to the upstream that the table says, by the model's name there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import anyio
import structlog

from belljar.errors import NotFound, UpstreamError
from belljar.gateway.upstream import Caller, Event, Model, Request, Traits, Upstream
from belljar.gateway.upstream.table import ModelEntry, UpstreamEntry

log = structlog.get_logger("belljar.gateway")

_DOWN = frozenset({502, 503, 504, 529})
"""Of an upstream that has a fallback: it is not there, or does not answer."""


@dataclass(frozen=True)
class Target:
    """An upstream of the table, opened."""

    entry: UpstreamEntry
    upstream: Upstream


@dataclass(frozen=True)
class Route:
    """A line of the table, with what it leads to."""

    entry: ModelEntry
    target: Target
    fallback: Target | None = None


class Router:
    """The upstreams of a table as one. The first route that fits a model's id is the one."""

    kind = "models"

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    def traits(self, model_id: str) -> Traits:
        route = self._route(model_id)
        told = route.target.upstream.traits(model_id)
        if told.cites and route.fallback is not None:
            told = replace(told, cites=route.fallback.upstream.traits(model_id).cites)
        return replace(told, **route.entry.traits)

    async def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        model_id = request["model"]
        route = self._route(model_id)
        first = _request(route.target, route.entry, route.entry.name, request)
        has_begun = False
        try:
            async with aclosing(route.target.upstream.stream(first, caller)) as events:  # type: ignore[type-var]
                async for event in events:
                    has_begun = True
                    yield _named(event, model_id) if route.entry.name is not None else event
            return
        except UpstreamError as error:
            if has_begun or route.fallback is None or error.status not in _DOWN:
                raise
            log.warning(
                "the upstream is down, and its fallback is asked",
                upstream=route.target.entry.name,
                fallback=route.fallback.entry.name,
                status=error.status,
            )
        second = _request(route.fallback, route.entry, route.entry.fallback_name, request)
        # Its own name for the model is passed on: the answer says who it is from.
        async with aclosing(route.fallback.upstream.stream(second, caller)) as events:  # type: ignore[type-var]
            async for event in events:
                yield event

    async def count_tokens(self, request: Request, caller: Caller) -> int | None:
        route = self._route(request["model"])
        asked = _request(route.target, route.entry, route.entry.name, request)
        return await route.target.upstream.count_tokens(asked, caller)

    async def models(self, caller: Caller) -> list[Model]:
        return [model for model, _ in await self.places(caller)]

    async def places(self, caller: Caller) -> list[tuple[Model, str]]:
        """All models, in the table's order, each with the name of its upstream."""
        told = await self._told(caller)
        found: dict[str, tuple[Model, str]] = {}
        for route in self._routes:
            upstream = route.target.entry.name
            there = told[upstream]
            if not route.entry.is_pattern:
                name = route.entry.name or route.entry.id
                model = next((one for one in there if one["id"] == name), {})
                found.setdefault(route.entry.id, ({**model, "id": route.entry.id}, upstream))
                continue
            for model in there:
                if self._found(model["id"]) is route:
                    found.setdefault(model["id"], (model, upstream))
        return list(found.values())

    async def model(self, model_id: str, caller: Caller) -> Model | None:
        route = self._found(model_id)
        if route is None:
            return None
        try:
            model = await route.target.upstream.model(route.entry.name or model_id, caller)
        except UpstreamError:
            if route.entry.is_pattern:
                raise
            model = None
        if model is None:
            return None if route.entry.is_pattern else {"id": model_id}
        return {**model, "id": model_id} if route.entry.name is not None else model

    async def _told(self, caller: Caller) -> dict[str, list[Model]]:
        """What each upstream tells; nothing of one that fails, so that the others' models are listed all the same."""
        told: dict[str, list[Model]] = {}

        async def ask(target: Target) -> None:
            told[target.entry.name] = []
            try:
                told[target.entry.name] = await target.upstream.models(caller)
            except UpstreamError as error:
                log.warning(
                    "an upstream does not list its models", upstream=target.entry.name, status=error.status
                )

        async with anyio.create_task_group() as tasks:
            for target in {route.target.entry.name: route.target for route in self._routes}.values():
                tasks.start_soon(ask, target)
        return told

    def _found(self, model_id: str) -> Route | None:
        return next((route for route in self._routes if route.entry.fits(model_id)), None)

    def _route(self, model_id: str) -> Route:
        route = self._found(model_id)
        if route is None:
            known = ", ".join(route.entry.id for route in self._routes)
            raise NotFound(f"model: there is no {model_id}. The models here are: {known}")
        return route


def _request(target: Target, entry: ModelEntry, name: str | None, request: Request) -> Request:
    """The request as the upstream gets it: the defaults behind what it says itself, the model's name changed."""
    return {**target.entry.defaults, **entry.defaults, **request, "model": name or request["model"]}


def _named(event: Event, model_id: str) -> Event:
    """The model as the client knows it."""
    if event.get("type") != "message_start":
        return event
    return {**event, "message": {**event["message"], "model": model_id}}
