"""A keeper of one's own: no server, and nothing left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio

from belljar import document, errors, link, orders, results
from belljar.builds import DEFAULT
from belljar.client.embedded import own_keeper
from belljar.client.places import Cleared, File, Program, Told
from belljar.settings import Settings
from belljar.wire.execution import Execution, ExecutionFile, Isolation, LimitsRequest
from belljar.wire.media import HEAD_BYTES

_SESSION = "sandbox"


class LocalPlace:
    """Made by `open_local`. See `places.Place`."""

    container = None

    def __init__(self, keeper: link.Keeper, settings: Settings, runtime: str) -> None:
        self._keeper = keeper
        self._runtime = runtime
        self._settings = settings
        self._made: list[tuple[ExecutionFile, results.WorkFile]] = []
        """Of the last run. Two may have one path: the working directory's, and $OUTPUT_DIR's."""
        self._turn = anyio.Lock()
        """A keeper refuses a second run at once in a session; here it waits, as with a server. Who has come first goes
        first."""
        self.isolation: Isolation = keeper.description.isolation

    async def run(self, program: Program, tell: Callable[[Told], None]) -> Execution:
        run = orders.Run(
            program.code,
            program.timeout_seconds or self._settings.timeout_seconds,
            stdin=program.stdin,
            env=program.env,
        )
        async with self._turn:
            self._made.clear()
            result = await self._keeper.execute(_SESSION, run, lambda event: tell(_told(event)))
            files = [await self._described(file) for file in result.files]
        return document.execution(
            result, container=None, runtime=self._runtime, files=files, isolation=self.isolation
        )

    async def _described(self, file: results.WorkFile) -> ExecutionFile:
        head = b""
        async for piece in self._keeper.read(_SESSION, file):
            head = piece[:HEAD_BYTES]
            break
        described = document.local_file(file, head)
        self._made.append((described, file))
        return described

    async def put(self, path: str, pieces: AsyncIterator[bytes]) -> None:
        await self._keeper.put(_SESSION, path, pieces)

    async def get(self, path: str) -> AsyncIterator[bytes]:
        async for piece in self._keeper.read(_SESSION, await self._keeper.find(_SESSION, path)):
            yield piece

    async def made(self, file: ExecutionFile) -> AsyncIterator[bytes]:
        kept = next((kept for described, kept in self._made if described is file), None)
        if kept is None:
            raise errors.InvalidRequest(
                f"{file.path!r} is not of the last run. What a run has made can be read until the next one begins."
            )
        async for piece in self._keeper.read(_SESSION, kept):
            yield piece

    async def files(self) -> list[File]:
        return [
            File(file.path, file.size_bytes, datetime.fromtimestamp(file.changed_at / 1_000_000, UTC))
            for file in (await self._keeper.files(_SESSION)).files
        ]

    async def remove(self, path: str) -> None:
        await self._keeper.remove(_SESSION, path)


def _told(event: results.Event) -> Told:
    if isinstance(event, results.Clear):
        return Cleared(event.wait)
    return document.output_of(event)


@asynccontextmanager
async def open_local(
    settings: Settings, runtime: str | None, limits: LimitsRequest
) -> AsyncIterator[LocalPlace]:
    """Start a keeper with one session. Raises InvalidRequest for limits, NotFound for the runtime, JailUnavailable."""
    async with own_keeper(settings, runtime or DEFAULT) as keeper:
        await keeper.open(_SESSION, settings.limits(limits))
        yield LocalPlace(keeper, settings, runtime or DEFAULT)
