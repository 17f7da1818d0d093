"""The workshops of runtimes that were built: each is opened when a session asks for it, and closed when it has had none
for a while.

One belongs to a build. When a runtime has been built anew the next session opens a workshop for the new build beside
the old one, which goes with its last session.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from belljar.builds import Build, Runtimes
from belljar.errors import BelljarError, KeeperLost, RuntimeUnavailable
from belljar.keeper.journal import log
from belljar.keeper.workshop import Workshop

AGAIN_SECONDS = 5
"""After a runtime did not come up, until that is tried again."""
LOOK_SECONDS = 1
"""Between looks at whether anybody needs a workshop."""

Open = Callable[[Build], AbstractAsyncContextManager[Workshop]]
"""A workshop for a build, started and running in the block. Raises BelljarError, OSError."""


@dataclass
class _Entry:
    name: str
    directory: Path
    ready: anyio.Event = field(default_factory=anyio.Event)
    """It is open, or has failed."""
    is_outdated: bool = False
    """Another build has taken its place before it was open."""
    workshop: Workshop | None = None
    failure: str = ""
    failed_at: float = 0.0
    wanted: int = 0
    """Those who are having a session made, or wait to."""


class Workshops:
    """Of all runtimes but the default one. Each lives in a task of `tasks`."""

    def __init__(
        self,
        runtimes: Runtimes,
        open_workshop: Open,
        tasks: TaskGroup,
        idle_seconds: float,
        on_change: Callable[[], None],
    ) -> None:
        self._runtimes = runtimes
        self._open_workshop = open_workshop
        self._tasks = tasks
        self._idle_seconds = idle_seconds
        self._on_change = on_change
        self._entries: dict[Path, _Entry] = {}
        """By the build's directory; those that failed of late are among them."""

    def __iter__(self) -> Iterator[Workshop]:
        """Those that are open."""
        return iter([entry.workshop for entry in self._entries.values() if entry.workshop is not None])

    @asynccontextmanager
    async def using(self, name: str) -> AsyncIterator[Workshop]:
        """A block in which a session is made in the runtime's workshop; waits until that is open.

        Raises RuntimeUnavailable where it does not come up, or there is no such runtime.
        """
        while True:
            entry = self._entry(name)
            entry.wanted += 1
            try:
                await entry.ready.wait()
                if entry.is_outdated:
                    continue
                if entry.workshop is None:
                    raise RuntimeUnavailable(f"the runtime {name} does not come up: {entry.failure}")
                try:
                    yield entry.workshop
                except KeeperLost as error:
                    # Of a part of it: all other runtimes go on, and so will this one.
                    raise RuntimeUnavailable(f"the runtime {name} has ended: {error}") from error
                return
            finally:
                entry.wanted -= 1

    def _entry(self, name: str) -> _Entry:
        """That of the current build, begun where there is none."""
        directory = self._runtimes.current_directory(name)
        if directory is None:
            raise RuntimeUnavailable(
                f"the runtime {name} is not there any more; `belljar runtime list` has all"
            )
        entry = self._entries.get(directory)
        if entry is None or (entry.failure and time.monotonic() > entry.failed_at + AGAIN_SECONDS):
            for other in [other for other in self._entries.values() if other.name == name and other.failure]:
                self._leave(other)
            entry = self._entries[directory] = _Entry(name, directory)
            self._tasks.start_soon(self._serve, entry)
        return entry

    def states(self) -> dict[str, dict[str, Any]]:
        """By name: `state`, `why`, `tiers`, `sessions`; of two builds the newer one. What is not there is at rest."""
        found: dict[str, dict[str, Any]] = {}
        for entry in self._entries.values():
            if entry.workshop is None:
                state = "failed" if entry.failure else "warming"
                found[entry.name] = {"state": state, "why": entry.failure, "tiers": [], "sessions": 0}
            else:
                tiers = [asdict(tier) for tier in entry.workshop.zygotes.tiers]
                state = "warming" if any(tier["state"] == "warming" for tier in tiers) else "ready"
                before = found.get(entry.name, {"sessions": 0})["sessions"]
                sessions = entry.workshop.count_in_use() + before
                found[entry.name] = {"state": state, "why": "", "tiers": tiers, "sessions": sessions}
        return found

    async def _serve(self, entry: _Entry) -> None:
        """The life of a workshop."""
        try:
            use = await anyio.to_thread.run_sync(self._runtimes.use, entry.name)
            try:
                if use.build.directory != entry.directory:  # it was built anew since
                    entry.is_outdated = True
                    self._leave(entry)
                    return
                async with self._open_workshop(use.build) as workshop:
                    entry.workshop = workshop
                    entry.ready.set()
                    self._on_change()
                    await self._until_idle(entry, workshop)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(use.release)
        except (BelljarError, OSError, ExceptionGroup) as error:
            log(f"the runtime {entry.name}", error)
            entry.failure, entry.failed_at = str(error) or type(error).__name__, time.monotonic()
            entry.workshop = None
        finally:
            entry.ready.set()
            self._on_change()

    def _leave(self, entry: _Entry) -> None:
        """Whoever asks from now on is not to find it."""
        if self._entries.get(entry.directory) is entry:
            del self._entries[entry.directory]

    async def _until_idle(self, entry: _Entry, workshop: Workshop) -> None:
        """Until nobody has needed it for long; where another build has taken its place, until nobody does."""
        used_at = time.monotonic()
        while True:
            await anyio.sleep(LOOK_SECONDS)
            if workshop.site.is_lost:
                break
            current = self._runtimes.current_directory(entry.name)
            if entry.wanted or workshop.count_in_use():
                used_at = time.monotonic()
            elif current != entry.directory or time.monotonic() > used_at + self._idle_seconds:
                break
        self._leave(entry)
        entry.workshop = None
