"""Model servers on this machine, found by a quick look at where they usually listen. They are offered, and not used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import httpx2

_LOOK_SECONDS = 0.5
"""On the loopback what is there answers in milliseconds; a start is not to wait for what hangs."""


@dataclass(frozen=True)
class Place:
    """Where a kind of server listens, if nobody has told it otherwise, and how it makes itself known."""

    name: str
    url: str
    path: str


OLLAMA = Place("Ollama", "http://127.0.0.1:11434", "/api/version")
LLAMA_CPP = Place("llama.cpp", "http://127.0.0.1:8080", "/health")


async def find(places: Sequence[Place] = (OLLAMA, LLAMA_CPP)) -> list[Place]:
    """Those of the places where the server answers that is looked for there."""
    found: set[Place] = set()

    async def look(client: httpx2.AsyncClient, place: Place) -> None:
        try:
            answer = await client.get(place.url + place.path)
            if _is(place, answer):
                found.add(place)
        except (httpx2.HTTPError, ValueError):
            pass  # another server, or none

    with anyio.move_on_after(_LOOK_SECONDS):
        async with (
            httpx2.AsyncClient(timeout=_LOOK_SECONDS, trust_env=False) as client,
            anyio.create_task_group() as tasks,
        ):
            for place in places:
                tasks.start_soon(look, client, place)
    return [place for place in places if place in found]


def _is(place: Place, answer: httpx2.Response) -> bool:
    if place.name == LLAMA_CPP.name:
        return "llama.cpp" in answer.headers.get("server", "")
    document = answer.json()
    return answer.status_code == 200 and isinstance(document, dict) and "version" in document
