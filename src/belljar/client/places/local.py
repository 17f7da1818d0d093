"""A session of a keeper that this program has started: no server, and nothing left behind."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import anyio

from belljar import document, errors, link, orders, results
from belljar.builds import DEFAULT
from belljar.client import keepers
from belljar.client.places import Cleared, File, Program, Told
from belljar.settings import Settings
from belljar.wire.execution import Execution, ExecutionFile, Isolation, LimitsRequest
from belljar.wire.media import HEAD_BYTES

_numbers = itertools.count(1)


class LocalPlace:
    """Made by `open_local`. See `places.Place`."""

    container = None

    def __init__(self, keeper: link.Keeper, session: str, settings: Settings, runtime: str) -> None:
        self._keeper = keeper
        self._session = session
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
            result = await self._keeper.execute(self._session, run, lambda event: tell(_told(event)))
            files = [await self._described(file) for file in result.files]
        return document.execution(
            result, container=None, runtime=self._runtime, files=files, isolation=self.isolation
        )

    async def _described(self, file: results.WorkFile) -> ExecutionFile:
        head = b""
        async for piece in self._keeper.read(self._session, file):
            head = piece[:HEAD_BYTES]
            break
        described = document.local_file(file, head)
        self._made.append((described, file))
        return described

    async def put(self, path: str, pieces: AsyncIterator[bytes]) -> None:
        await self._keeper.put(self._session, path, pieces)

    async def get(self, path: str) -> AsyncIterator[bytes]:
        async for piece in self._keeper.read(self._session, await self._keeper.find(self._session, path)):
            yield piece

    async def made(self, file: ExecutionFile) -> AsyncIterator[bytes]:
        kept = next((kept for described, kept in self._made if described is file), None)
        if kept is None:
            raise errors.InvalidRequest(
                f"{file.path!r} is not of the last run. What a run has made can be read until the next one begins."
            )
        async for piece in self._keeper.read(self._session, kept):
            yield piece

    async def files(self) -> list[File]:
        return [
            File(file.path, file.size_bytes, datetime.fromtimestamp(file.changed_at / 1_000_000, UTC))
            for file in (await self._keeper.files(self._session)).files
        ]

    async def remove(self, path: str) -> None:
        await self._keeper.remove(self._session, path)


def _told(event: results.Event) -> Told:
    if isinstance(event, results.Clear):
        return Cleared(event.wait)
    return document.output_of(event)


@asynccontextmanager
async def open_local(
    settings: Settings, runtime: str | None, limits: LimitsRequest
) -> AsyncIterator[LocalPlace]:
    """Make a session. Raises InvalidRequest for limits, NotFound for the runtime, JailUnavailable."""
    runtime = runtime or DEFAULT
    async with keepers.of_this_loop().use(settings, runtime) as keeper:
        session = f"sandbox-{next(_numbers)}"
        try:
            await keeper.open(session, settings.limits(limits))
            yield LocalPlace(keeper, session, settings, runtime)
        finally:
            with anyio.CancelScope(shield=True), suppress(errors.KeeperLost):
                await keeper.close(session)
