"""The searches of one request: within what its tool allows, and by whatever backend there is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import anyio

from belljar import orders
from belljar.gateway.search import Backend, Query, SearchFailed
from belljar.gateway.search.asking import MOST_RESULTS
from belljar.gateway.search.declared import Declared
from belljar.gateway.telemetry import Telemetry
from belljar.gateway.tools import Failed, Searched, web_search

_AT_ONCE = 4
"""Of one request: backends refuse who asks too much."""
_MOST_SEARCHES = 100
"""Of one request that does not say itself: code can search in a loop, and searches cost money."""
_NO_BACKEND = "This server has no search engine, so there are no results. Say so to the user."


class Searches:
    """Made for a request whose tools have a web search that is ours to run."""

    def __init__(self, backend: Backend | None, declared: Declared, telemetry: Telemetry) -> None:
        self._backend = backend
        self._declared = declared
        self._telemetry = telemetry
        self._at_once = anyio.Semaphore(_AT_ONCE)
        self._made = 0

    async def run_all(self, inputs: Sequence[object]) -> list[Searched | Failed]:
        """Search side by side; what each comes to, in order."""
        done: dict[int, Searched | Failed] = {}

        async def run(place: int, given: object) -> None:
            done[place] = await self.run(given)

        async with anyio.create_task_group() as tasks:
            for place, given in enumerate(inputs):
                tasks.start_soon(run, place, given)
        return [done[place] for place in range(len(inputs))]

    async def run(self, given: object) -> Searched | Failed:
        """What a use of the tool with this input comes to."""
        outcome = await self._run(given)
        kind = self._backend.kind if self._backend is not None else "none"
        self._telemetry.search(kind, outcome.error_code if isinstance(outcome, Failed) else "found")
        return outcome

    async def answer(self, given: object) -> tuple[orders.ReplyStatus, str, Searched | Failed]:
        """The same, with what code gets that has called the tool."""
        outcome = await self.run(given)
        if isinstance(outcome, Failed):
            return "failed", f"{outcome.error_code}: {outcome.message}", outcome
        return "answered", json.dumps([asdict(page) for page in outcome.pages], ensure_ascii=False), outcome

    async def _run(self, given: object) -> Searched | Failed:
        text = web_search.asked(given)
        if isinstance(text, Failed):
            return text
        declared = self._declared
        if declared.domains.fault:
            return Failed("invalid_tool_input", declared.domains.fault)
        if self._backend is None:
            return Failed("unavailable", _NO_BACKEND)
        most = min(declared.max_uses or _MOST_SEARCHES, _MOST_SEARCHES)
        if self._made >= most:
            return Failed("max_uses_exceeded", f"At most {most} searches are allowed in one answer.")
        self._made += 1
        try:
            async with self._at_once:
                found = await self._backend.search(Query(text, declared.domains, declared.place))
        except SearchFailed as error:
            return Failed(error.error_code, str(error))
        return Searched(text, [page for page in found if declared.domains.admit(page.url)][:MOST_RESULTS])
