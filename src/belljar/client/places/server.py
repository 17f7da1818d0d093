"""A container of a Belljar server's."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote

import anyio
import httpx2

from belljar import errors
from belljar.client.places import Cleared, File, Program, Told
from belljar.client.refused import for_library, no_answer
from belljar.wire.execution import (
    DisplayOutput,
    ErrorOutput,
    Execution,
    ExecutionFile,
    Isolation,
    LimitsRequest,
    StreamOutput,
)

_SILENCE_SECONDS = 60
"""Without a word of the server's, which says once in a while that it goes on."""
_OUTPUTS: dict[str, type[StreamOutput | DisplayOutput | ErrorOutput]] = {
    "stream": StreamOutput,
    "display_data": DisplayOutput,
    "update_display_data": DisplayOutput,
    "execute_result": DisplayOutput,
    "error": ErrorOutput,
}


class ServerPlace:
    """Made by `open_server`. See `places.Place`."""

    def __init__(self, http: httpx2.AsyncClient, container: str, isolation: Isolation) -> None:
        self._http = http
        self.container = container
        self.isolation = isolation

    async def run(self, program: Program, tell: Callable[[Told], None]) -> Execution:
        asked: dict[str, Any] = {
            "code": program.code,
            "container": self.container,
            "stdin": program.stdin,
            "env": program.env,
            "stream": True,
        }
        if program.timeout_seconds is not None:
            asked["timeout_seconds"] = program.timeout_seconds
        async for event in _events(self._http, asked):
            kind = event["type"]
            if kind == "finished":
                return Execution.model_validate(event["execution"])
            if kind == "clear_output":
                tell(Cleared(event["wait"]))
            elif kind == "error" and "error" in event:
                raise _error(event["error"])
            elif kind in _OUTPUTS:
                tell(_OUTPUTS[kind].model_validate(event))
        raise errors.Unreachable("The server broke off before it said how the code ended.")

    async def put(self, path: str, pieces: AsyncIterator[bytes]) -> None:
        await _ask(self._http, "PUT", self._file(path), content=pieces)

    async def get(self, path: str) -> AsyncIterator[bytes]:
        async for piece in _bytes(self._http, self._file(path)):
            yield piece

    async def made(self, file: ExecutionFile) -> AsyncIterator[bytes]:
        async for piece in _bytes(self._http, f"/v1/files/{file.file_id}/content"):
            yield piece

    async def files(self) -> list[File]:
        listed = await _ask(self._http, "GET", self._files())
        return [
            File(file["path"], file["size_bytes"], datetime.fromisoformat(file["changed_at"]))
            for file in listed["data"]
        ]

    async def remove(self, path: str) -> None:
        await _ask(self._http, "DELETE", self._file(path))

    def _files(self) -> str:
        return f"/v1/containers/{self.container}/files"

    def _file(self, path: str) -> str:
        # Dots are spelled out, or a path with two of them would be tidied up into another URL.
        return f"{self._files()}/{quote(path).replace('.', '%2E')}"


@asynccontextmanager
async def open_server(
    base_url: str,
    api_key: str | None,
    container: str | None,
    runtime: str | None,
    limits: LimitsRequest,
) -> AsyncIterator[ServerPlace]:
    """A new container, deleted in the end; or the one that is named, which is left as it is.

    Raises Unreachable, NotFound for the container, and what else the server answers.
    """
    headers = {"x-api-key": api_key} if api_key else {}
    timeout = httpx2.Timeout(_SILENCE_SECONDS, pool=None)
    async with httpx2.AsyncClient(base_url=base_url, headers=headers, timeout=timeout) as http:
        if container is not None:
            found = await _ask(http, "GET", f"/v1/containers/{quote(container, safe='')}")
            yield ServerPlace(http, container, Isolation.model_validate(found["isolation"]))
            return
        asked: dict[str, Any] = {"limits": limits.model_dump(exclude_none=True)}
        if runtime is not None:
            asked["runtime"] = runtime
        made = await _ask(http, "POST", "/v1/containers", json=asked)
        try:
            yield ServerPlace(http, made["id"], Isolation.model_validate(made["isolation"]))
        finally:
            # Where it cannot be deleted it is gone already, or expires by itself: nothing that its user could do.
            with anyio.move_on_after(_SILENCE_SECONDS, shield=True), contextlib.suppress(errors.BelljarError):
                await _ask(http, "DELETE", f"/v1/containers/{made['id']}")


async def _ask(http: httpx2.AsyncClient, method: str, path: str, **more: Any) -> dict[str, Any]:
    try:
        answer = await http.request(method, path, **more)
    except httpx2.HTTPError as error:
        raise _unreachable(http, error) from error
    return _checked(answer)


async def _bytes(http: httpx2.AsyncClient, path: str) -> AsyncIterator[bytes]:
    try:
        async with http.stream("GET", path) as answer:
            if answer.is_error:
                await answer.aread()
                _checked(answer)
            async for piece in answer.aiter_bytes():
                yield piece
    except httpx2.HTTPError as error:
        raise _unreachable(http, error) from error


async def _events(http: httpx2.AsyncClient, asked: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    try:
        async with http.stream("POST", "/v1/executions", json=asked) as answer:
            if answer.is_error:
                await answer.aread()
                _checked(answer)
            # Not by lines: httpx ends one at characters that may stand in the middle of an event's JSON.
            async for sent in httpx2.EventSource(answer, max_event_size=None):
                yield json.loads(sent.data)
    except httpx2.HTTPError as error:
        raise _unreachable(http, error) from error


def _checked(answer: httpx2.Response) -> dict[str, Any]:
    try:
        document: dict[str, Any] = answer.json()
        if answer.is_success:
            return document
        detail = document["error"]
    except (ValueError, KeyError) as error:
        raise errors.Unreachable(
            f"What answers at {answer.url} is no Belljar server: {answer.status_code} {answer.reason_phrase}"
        ) from error
    raise _error(detail, answer.status_code)


_BY_KIND: dict[str, type[errors.BelljarError]] = {
    kind.kind: kind
    for kind in (
        errors.InvalidRequest,
        errors.Unauthenticated,
        errors.BudgetSpent,
        errors.NotFound,
        errors.RequestTooLarge,
        errors.Overloaded,
        errors.RateLimited,
    )
}


def _error(detail: dict[str, Any], status: int | None = None) -> errors.BelljarError:
    """What the server refuses with, as the error that it was there."""
    is_file = (detail.get("details") or {}).get("error_code") == errors.NoSuchFile.details["error_code"]
    kind = errors.NoSuchFile if is_file else _BY_KIND.get(detail["type"], errors.BelljarError)
    error = kind(for_library(detail["message"]))
    if status is not None:
        error.status = status
    return error


def _unreachable(http: httpx2.AsyncClient, error: httpx2.HTTPError) -> errors.Unreachable:
    return errors.Unreachable(no_answer(str(http.base_url).rstrip("/"), error))
