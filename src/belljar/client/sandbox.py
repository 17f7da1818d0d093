"""The library's sandbox for programs without async: an `AsyncSandbox` in a thread that all of them share."""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import socket
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from belljar.client import keepers
from belljar.client.async_sandbox import AsyncSandbox, Content, not_open
from belljar.client.places import File, Told
from belljar.client.shown import Result
from belljar.settings import Settings
from belljar.wire.execution import ExecutionFile, Isolation

T = TypeVar("T")

_END_SECONDS = 60
"""For code that was interrupted to end, or to be killed."""
_LINGER_SECONDS = 60
"""How long a keeper waits for the next sandbox."""


class Sandbox:
    """The same for programs without async.

    >>> with Sandbox() as box:
    ...     box.put("sales.csv", "month,sales\\njan,3\\nfeb,4\\n")
    ...     result = box.run("import csv; sum(int(row['sales']) for row in csv.DictReader(open('sales.csv')))")
    >>> result.value
    '7'

    The arguments, methods and errors are those of `AsyncSandbox`, with `close` for `aclose`. All live in one thread of
    their own, and what makes the next one fast stays for a minute after the last. Callbacks are called in the caller's
    thread, where Ctrl-C interrupts the code that runs.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        container: str | None = None,
        runtime: str | None = None,
        timeout_seconds: float | None = None,
        memory_bytes: int | None = None,
        disk_bytes: int | None = None,
        output_bytes: int | None = None,
        pids: int | None = None,
        cpus: float | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._box = AsyncSandbox(
            base_url,
            api_key=api_key,
            container=container,
            runtime=runtime,
            timeout_seconds=timeout_seconds,
            memory_bytes=memory_bytes,
            disk_bytes=disk_bytes,
            output_bytes=output_bytes,
            pids=pids,
            cpus=cpus,
            settings=settings,
        )
        self._close: Callable[[], None] = _nothing
        self._portal: BlockingPortal | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<Sandbox, {self._box._state}>"

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close, self._close = self._close, _nothing
        self._is_closed = self._is_closed or self._portal is not None
        self._portal = None
        close()

    def start(self) -> Sandbox:
        """Open it, as `with` does, and return it. One that is open stays as it is; one that was closed begins anew.

        It ends with `close`, or else with the last reference to it, or with the program.
        """
        if self._portal is not None:
            return self
        portal = self._portal = _thread.portal()
        try:
            self._wait(self._box.start)
        except BaseException:
            self._portal = None
            portal.call(self._box.aclose)  # it may have opened just before it was given up
            raise
        self._close = _closing(self, self._box, portal)
        return self

    def close(self) -> None:
        """End it, and all that is in it. One that is not open stays as it is."""
        self.__exit__(None, None, None)

    def _start(self, work: Callable[[], Coroutine[Any, Any, T]]) -> _Started[T]:
        if self._portal is None:
            raise not_open(is_closed=self._is_closed)
        over = threading.Event()

        async def watched() -> T:
            try:
                return await work()
            finally:
                over.set()

        return _Started(self._portal.start_task_soon(watched), over)

    def _wait(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        with self._start(work) as started:
            return started.future.result()

    @property
    def container(self) -> str | None:
        """The id by which the server knows it; None where there is no server."""
        return self._box.container

    @property
    def isolation(self) -> Isolation:
        """The level of the jail, and which of its layers do not hold there."""
        return self._box.isolation

    def run(
        self,
        code: str,
        *,
        on_output: Callable[[Told], object] | None = None,
        timeout_seconds: float | None = None,
        stdin: str = "",
        env: dict[str, str] | None = None,
    ) -> Result:
        """Run Python code: see `AsyncSandbox.run`."""
        heard: queue.SimpleQueue[Told | None] = queue.SimpleQueue()

        async def run() -> Result:
            try:
                return await self._box.run(
                    code,
                    on_output=heard.put if on_output is not None else None,
                    timeout_seconds=timeout_seconds,
                    stdin=stdin,
                    env=env,
                )
            finally:
                heard.put(None)

        with self._start(run) as started:
            if on_output is not None:
                while (told := heard.get()) is not None:
                    on_output(told)
            return started.future.result()

    def put(self, path: str, content: Content) -> None:
        """Write a file into the working directory: see `AsyncSandbox.put`."""
        self._wait(lambda: self._box.put(path, content))

    def get(self, file: str | ExecutionFile) -> bytes:
        """The bytes of a file: see `AsyncSandbox.get`."""
        return self._wait(lambda: self._box.get(file))

    def save(self, file: str | ExecutionFile, path: str | Path) -> Path:
        """A file onto this machine: see `AsyncSandbox.save`."""
        return self._wait(lambda: self._box.save(file, path))

    def files(self) -> list[File]:
        """What lies in the working directory, by path."""
        return self._wait(self._box.files)

    def remove(self, path: str) -> None:
        """Delete a file of the working directory. Raises NoSuchFile, InvalidRequest."""
        self._wait(lambda: self._box.remove(path))


@dataclass(frozen=True)
class _Started(Generic[T]):
    """What runs in the sandbox's thread. The block's end waits for it, and ends it where the block was left before."""

    future: Future[T]
    over: threading.Event

    def __enter__(self) -> _Started[T]:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.future.done():
            self.future.cancel()
            self.over.wait(_END_SECONDS)


class _Loop(asyncio.SelectorEventLoop):
    """One that can still find a server by its name when the interpreter ends, where no thread is to be had for it."""

    async def getaddrinfo(self, host: Any, port: Any, **more: int) -> Any:
        try:
            return await super().getaddrinfo(host, port, **more)
        except RuntimeError:
            return socket.getaddrinfo(host, port, **more)


def _closing(sandbox: Sandbox, box: AsyncSandbox, portal: BlockingPortal) -> Callable[[], None]:
    """What closes the box; called with the last reference to the sandbox, or in the end, where nobody else does."""
    here = os.getpid()

    def close() -> None:
        if os.getpid() == here:  # a child that was forked has a copy of it, and none of its threads
            portal.call(box.aclose)

    atexit.register(close)
    dropped = weakref.finalize(sandbox, _close_aside, close)
    dropped.atexit = False

    def closed() -> None:
        dropped.detach()
        atexit.unregister(close)
        close()

    return closed


def _close_aside(close: Callable[[], None]) -> None:
    """What nobody has a reference to any more: that can come to light in any thread, also in the sandboxes' own."""

    def closed() -> None:
        atexit.unregister(close)
        close()

    threading.Thread(target=closed, name="belljar-close", daemon=False).start()


def _nothing() -> None:
    pass


class _Thread:
    """The one in which all sandboxes of this process live."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)  # a child has none of its parent's threads

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._portal: BlockingPortal | None = None

    def portal(self) -> BlockingPortal:
        """By which one calls into it. It is started when it is first asked for, and ended with the program."""
        with self._lock:
            if self._portal is None:
                started: Future[BlockingPortal] = Future()
                # A daemon, and so are those that it starts: the interpreter does not wait for them in the end. It
                # waits for all others, and then calls what `atexit` has, the sandboxes' ends before this one: nobody
                # uses them any more.
                thread = threading.Thread(target=_live, args=(started,), name="belljar", daemon=True)
                thread.start()
                self._portal = portal = started.result()
                atexit.register(_end, portal, thread, os.getpid())
            return self._portal


def _live(started: Future[BlockingPortal]) -> None:
    async def serve() -> None:
        async with BlockingPortal() as portal:
            keepers.linger(_LINGER_SECONDS)
            started.set_result(portal)
            await portal.sleep_until_stopped()

    try:
        anyio.run(serve, backend="asyncio", backend_options={"loop_factory": _Loop})
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)


def _end(portal: BlockingPortal, thread: threading.Thread, here: int) -> None:
    if os.getpid() == here:
        portal.start_task_soon(portal.stop, True)
        thread.join()


_thread = _Thread()
