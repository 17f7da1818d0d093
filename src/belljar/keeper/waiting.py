"""Waiting without a cancel scope or a task for each wait. The keeper waits all the time, and runs on asyncio only."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")

_MOST_REST_SECONDS = 4.0
"""After work that is dear. A machine that is halted meanwhile may take that for processor time, and so for work."""


class Flag:
    """Something that happens once."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._is_set

    def set(self) -> None:
        """It has happened: all who wait are woken."""
        self._is_set = True
        for future in self._waiting:
            _wake(future)
        self._waiting.clear()

    async def wait(self) -> None:
        """Wait until it has happened."""
        if not self._is_set:
            future = self._begin(asyncio.get_running_loop())
            try:
                await future
            finally:
                self._end(future)

    async def within(self, seconds: float) -> bool:
        """Wait at most so long; whether it has happened."""
        if not self._is_set and seconds > 0:
            loop = asyncio.get_running_loop()
            future = self._begin(loop)
            clock = loop.call_later(seconds, _wake, future)
            try:
                await future
            finally:
                clock.cancel()
                self._end(future)
        return self._is_set

    def _begin(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        return future

    def _end(self, future: asyncio.Future[None]) -> None:
        if not self._is_set:
            self._waiting.remove(future)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Turns:
    """Work for threads that is dear, and may be asked for by many: one at a time, and all of it together takes no more
    than a share of one processor."""

    def __init__(self, rest: float = 4.0) -> None:
        """Each is followed by a rest that is `rest` times as long as the processor time that it took."""
        self._rest = rest
        self._turn = asyncio.Lock()
        self._free_at = 0.0

    def is_free(self) -> bool:
        """Whether nobody would have to wait."""
        return not self._turn.locked() and time.perf_counter() >= self._free_at

    async def take(self, work: Callable[[], T]) -> T:
        """What `work` returns, when it is our turn."""
        async with self._turn:
            await asyncio.sleep(max(0.0, self._free_at - time.perf_counter()))
            return await anyio.to_thread.run_sync(self._do, work)

    def _do(self, work: Callable[[], T]) -> T:
        # How long the machine did something else meanwhile says nothing of the work: nobody is to rest for that, while
        # code that is looked at does not.
        started = time.thread_time()
        try:
            return work()
        finally:
            took = time.thread_time() - started
            self._free_at = time.perf_counter() + min(_MOST_REST_SECONDS, self._rest * took)


class Hand:
    """A thread of ours that does one blocking thing after the other."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._begun = self._ended = 0
        # The process does not wait for it at its end: what blocks then is the kernel's to finish.
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def begin(self, work: Callable[[], T]) -> Job[T]:
        """Have `work` done after all that was begun before."""
        job = Job(work, asyncio.get_running_loop())
        self._begun += 1
        self._jobs.put(job.run)
        return job

    def begin_short(self, work: Callable[[], T]) -> Job[T]:
        """The same for what takes no time unless the thread is at work: it is done at once where that is not.

        To have a thread do something, and to hear of it, costs more than a call of the kernel that does not wait.
        """
        if self._begun != self._ended:
            return self.begin(work)
        job = Job(work, asyncio.get_running_loop())
        job.run()
        return job

    async def do(self, work: Callable[[], T]) -> T:
        """Have `work` done, and wait for it."""
        return await self.begin(work).outcome()

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            self._ended += 1


class Job(Generic[T]):
    """Something that a `Hand` does."""

    def __init__(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self._done = Flag()
        self._work = work
        self._loop = loop
        # Each of the two threads sets the one before it looks at the other: so nobody who waits is forgotten, and who
        # comes when it is done wakes nobody.
        self._is_done = self._is_awaited = False
        self._results: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """In the thread; for what is short, perhaps in the loop's own."""
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the work is waited for
            self._error = error
        self._is_done = True
        if self._is_awaited:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever waited
                self._loop.call_soon_threadsafe(self._done.set)

    async def outcome(self) -> T:
        """What the work returned or raised. Waited for when cancelled as well: others let go next of what it uses."""
        self._is_awaited = True
        if not self._is_done:
            try:
                await self._done.wait()
            except asyncio.CancelledError:
                with anyio.CancelScope(shield=True):
                    await self._done.wait()
                raise
        if self._error is not None:
            raise self._error
        return self._results[0]
