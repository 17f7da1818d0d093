"""The keepers of a program's sandboxes: all that are open in one event loop, and want the same, have one in common.

A keeper takes more than a second to come up, and some 80 MB; a session in it takes milliseconds. The first sandbox gets
a keeper that makes nothing ahead, as it may be the only one. The second has it import libraries and park sessions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel

from belljar import link
from belljar.builds import DEFAULT, FOLDER, Runtimes
from belljar.process import KeeperProcess
from belljar.settings import Settings

_here: anyio.lowlevel.RunVar[Keepers] = anyio.lowlevel.RunVar("belljar_keepers")


class Keepers:
    """Of one event loop. `linger_seconds` is how long a keeper stays that nobody uses: not at all in a loop of somebody
    else's, in which nothing of ours is to go on behind his back."""

    def __init__(self, linger_seconds: float = 0) -> None:
        self._linger_seconds = linger_seconds
        self._common: dict[tuple[str, str], _Common] = {}

    @contextlib.asynccontextmanager
    async def use(self, settings: Settings, runtime: str) -> AsyncIterator[link.Keeper]:
        """A keeper whose default runtime is `runtime`. Raises NotFound for the runtime, JailUnavailable."""
        # Where a runtime is built anew, those who come then get the new build.
        build = str(_runtimes(settings).find(runtime).directory) if runtime != DEFAULT else ""
        wanted = (build, settings.model_dump_json())
        common = self._common.get(wanted)
        if common is None or common.is_lost:
            common = self._common[wanted] = _Common()
        common.users += 1
        common.wanted.set()
        try:
            yield await common.keeper(settings, runtime)
        finally:
            common.users -= 1
            if not common.users:
                common.wanted = anyio.Event()
                if self._linger_seconds and common.is_up:
                    common.lingering = asyncio.create_task(self._linger(wanted, common))
                else:
                    await self._end(wanted, common)

    async def _linger(self, wanted: tuple[str, str], common: _Common) -> None:
        # To be cancelled is the end of the loop.
        try:
            with anyio.move_on_after(self._linger_seconds):
                await common.wanted.wait()
        finally:
            if not common.users:
                await self._end(wanted, common)

    async def _end(self, wanted: tuple[str, str], common: _Common) -> None:
        if self._common.get(wanted) is common:
            del self._common[wanted]
        with anyio.CancelScope(shield=True):
            await common.stack.aclose()


class _Common:
    def __init__(self) -> None:
        self.stack = contextlib.AsyncExitStack()
        self.users = 0
        self.wanted = anyio.Event()
        """Somebody uses it."""
        self.lingering: asyncio.Task[None] | None = None
        self._keeper: link.Keeper | None = None
        self._starting = anyio.Lock()
        self._uses = 0

    @property
    def is_up(self) -> bool:
        return self._keeper is not None and not self.is_lost

    @property
    def is_lost(self) -> bool:
        return self._keeper is not None and self._keeper.is_lost

    async def keeper(self, settings: Settings, runtime: str) -> link.Keeper:
        """Started by the first who asks; where that does not come about, by the next."""
        async with self._starting:
            if self._keeper is None:
                self._keeper = await self.stack.enter_async_context(
                    own_keeper(settings, runtime, may_have_many=True)
                )
            self._uses += 1
            if self._uses == 2:
                await self._keeper.make_ahead()
            return self._keeper


def linger(seconds: float) -> None:
    """Have this event loop's keepers stay for so long when nobody uses them. It has to be one that ends its tasks."""
    _here.set(Keepers(seconds))


def of_this_loop() -> Keepers:
    try:
        return _here.get()
    except LookupError:
        keepers = Keepers()
        _here.set(keepers)
        return keepers


def _runtimes(settings: Settings) -> Runtimes:
    return Runtimes(settings.state_dir / FOLDER)


@contextlib.asynccontextmanager
async def own_keeper(
    settings: Settings, runtime: str, *, may_have_many: bool = False, process: KeeperProcess | None = None
) -> AsyncIterator[link.Keeper]:
    """A keeper whose default runtime is `runtime`, which makes nothing ahead: for one session that would not pay back
    the import of libraries which it may not use, and the guest imports them itself. One that `may_have_many` can be
    asked to `make_ahead`. `process` is as for `link.start`. Raises NotFound for the runtime, JailUnavailable.
    """
    own: dict[str, Any] = {} if may_have_many else {"preload": {}, "parked": 0}
    async with contextlib.AsyncExitStack() as stack:
        if runtime != DEFAULT:
            use = _runtimes(settings).use(runtime)
            stack.callback(use.release)
            own = {"preload": use.build.facts.tiers} | own | {"runtime": use.build.environment}
        changed = settings.model_copy(update=own)
        yield await stack.enter_async_context(link.start(changed, ahead=False, process=process))
