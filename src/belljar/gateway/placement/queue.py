"""Who is next: tenants take turns, and of one tenant whoever came first."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from belljar.errors import Overloaded, RateLimited


class FairQueue:
    """A door that lets one through at a time, for as long as the block at `turn` takes.

    A tenant with a thousand who wait holds up another tenant's first by one turn, and not by a thousand.
    """

    def __init__(self, most_waiting: int, seconds: float) -> None:
        self._most_waiting = most_waiting
        """Of one tenant."""
        self._seconds = seconds
        self._waiting: dict[str, deque[anyio.Event]] = {}
        """By tenant, and these in the order of their turns."""
        self._is_taken = False

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def is_free(self) -> bool:
        """Whether whoever comes now would not have to wait, and nobody else does."""
        return not self._is_taken

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """Wait for one's turn, and keep the door while the block lasts; both together within the deadline.

        Raises RateLimited where too many of the tenant wait already, Overloaded at the deadline.
        """
        with anyio.move_on_after(self._seconds) as scope:
            await self._wait(tenant)
            try:
                yield
            finally:
                self._pass_on()
        if scope.cancelled_caught:
            raise Overloaded(
                f"No place for a session became free within {self._seconds:g} seconds. Try again later.",
                retry_after=max(1, round(self._seconds)),
            )

    async def _wait(self, tenant: str) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        mine = self._waiting.setdefault(tenant, deque())
        if len(mine) >= self._most_waiting:
            raise RateLimited(
                f"{len(mine)} requests wait for a session already. Send fewer at once.", retry_after=1
            )
        event = anyio.Event()
        mine.append(event)
        try:
            await event.wait()
        except BaseException:
            if event.is_set():
                self._pass_on()  # it was our turn, and we are gone
            else:
                mine.remove(event)
                if not mine:
                    del self._waiting[tenant]
            raise

    def _pass_on(self) -> None:
        for tenant in self._waiting:
            mine = self._waiting.pop(tenant)
            event = mine.popleft()
            if mine:
                self._waiting[tenant] = mine  # at the end: the others come first
            event.set()
            return
        self._is_taken = False
