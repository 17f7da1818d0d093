"""MCP on standard input and output, with a jail of its own: one session, as long as the process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
from anyio.abc import ObjectSendStream
from pydantic import ValidationError

from belljar import exits, link, orders, results, states
from belljar.client.keepers import own_keeper
from belljar.cutting import BYTES_A_TOKEN
from belljar.errors import BelljarError, KeeperLost, SessionLost, only
from belljar.mcp import Call, Offer, Session
from belljar.records import Limits
from belljar.settings import Settings
from belljar.wire.execution import LimitsRequest

if TYPE_CHECKING:
    from mcp.server.lowlevel.server import Server

_SESSION = "mcp"


class OwnSession:
    """See `mcp.Session`."""

    def __init__(self, keeper: link.Keeper, note: str) -> None:
        self.container: str | None = None
        self.has_to_be_named = False
        self._keeper = keeper
        self.note = note
        self.is_lost = False

    async def execute(
        self, run: orders.Run, on_event: Callable[[results.Event], None] | None = None
    ) -> results.Result:
        try:
            result = await self._keeper.execute(_SESSION, run, on_event)
        except SessionLost:
            self.is_lost = True
            raise
        self.is_lost = result.outcome.status == "lost"
        return result

    def read(self, file: results.WorkFile | results.Lying, offset: int = 0) -> AsyncIterator[bytes]:
        return self._keeper.read(_SESSION, file, offset)

    async def files(self) -> states.Files:
        return await self._keeper.files(_SESSION)

    async def find(self, path: str) -> results.Lying:
        return await self._keeper.find(_SESSION, path)

    async def put(self, path: str, body: bytes | AsyncIterator[bytes]) -> None:
        await self._keeper.put(_SESSION, path, body)


class OwnSessions:
    """One session of a keeper's, made when it is first asked for. See `mcp.Sessions`."""

    def __init__(self, keeper: link.Keeper, settings: Settings, limits: Limits) -> None:
        self._keeper = keeper
        self._settings = settings
        self._limits = limits
        self._lock = anyio.Lock()
        self._is_open = False
        self._note = ""

    def offer(self) -> Offer:
        about = self._keeper.description
        return Offer(
            python=about.python,
            packages=about.packages,
            direct=(),
            limits=self._limits,
            timeout_seconds=self._settings.timeout_seconds,
            most_text_bytes=self._settings.result_tokens * BYTES_A_TOKEN,
            has_containers=False,
        )

    @asynccontextmanager
    async def use(self, call: Call, *, runs: bool) -> AsyncIterator[Session]:
        async with self._lock:
            if not self._is_open:
                # Shielded: given up half-way, it would be open there and not here. It takes milliseconds.
                with anyio.CancelScope(shield=True):
                    await self._keeper.open(_SESSION, self._limits)
                    self._is_open = True
            session = OwnSession(self._keeper, self._note)
            self._note = ""
            try:
                yield session
            finally:
                if session.is_lost:
                    self._note = (
                        "The session before this one was lost, with its variables and files. This one is new."
                    )
                    await self._end()

    def is_there(self, call: Call) -> bool:
        return self._is_open

    async def reset(self, call: Call) -> None:
        async with self._lock:
            await self._end()

    async def _end(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._keeper.close(_SESSION)
        self._is_open = False


async def serve(settings: Settings, runtime: str) -> int:
    """Serve until standard input ends, or a signal comes. Returns the exit code.

    Raises JailUnavailable, NotFound for the runtime, and KeeperLost where the keeper ends before.
    """

    @asynccontextmanager
    async def ready() -> AsyncIterator[Server[Any]]:
        # It takes as long as the start of the keeper, so both go on side by side.
        loading = asyncio.get_running_loop().run_in_executor(None, import_module, "belljar.mcp.server")
        async with own_keeper(settings, runtime) as keeper:
            server_of = (await loading).server_of
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_end_with, keeper)
                yield server_of(OwnSessions(keeper, settings, settings.limits(LimitsRequest())))
                tasks.cancel_scope.cancel()

    return await on_stdio(ready)


async def _end_with(keeper: link.Keeper) -> None:
    await keeper.lost.wait()
    raise KeeperLost("the keeper has ended, and the session with it")


Ready = Callable[[], AbstractAsyncContextManager["Server[Any]"]]


async def on_stdio(ready: Ready) -> int:
    """Serve what the block `ready()` gives until standard input ends, or a signal comes. Returns the exit code."""
    end = _End()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end.hear_signals)
            with end.starting:
                server = await tasks.start(_hold, ready, end)
            if not end.code:
                await _serve(server)
            end.over.set()
            end.hearing.cancel()
    except BaseExceptionGroup as group:
        raise only(group) from None
    return end.code


class _End:
    """How it ends, once it does."""

    def __init__(self) -> None:
        self.code = 0
        self.over = anyio.Event()
        self.starting = anyio.CancelScope()
        self.hearing = anyio.CancelScope()

    async def hear_signals(self) -> None:
        with self.hearing, anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                self.code = 128 + number
                self.starting.cancel()
                self.over.set()


async def _serve(server: Server[Any]) -> None:
    # All of this is loaded by now.
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (reading, writing), anyio.create_task_group() as tasks:
        sifted, messages = anyio.create_memory_object_stream[Any]()
        tasks.start_soon(_sift, reading, writing, sifted)
        await server.run(messages, writing, server.create_initialization_options())
        tasks.cancel_scope.cancel()


async def _sift(reading: Any, writing: Any, sifted: ObjectSendStream[Any]) -> None:
    """Pass on the lines that are messages, and say of others that they are none: the SDK would drop them without a
    word, and a caller that has sent a request in them would wait for ever."""
    from mcp.shared.message import SessionMessage
    from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError

    async with sifted:
        async for item in reading:
            if not isinstance(item, Exception):
                await sifted.send(item)
                continue
            is_json = isinstance(item, ValidationError) and item.errors()[0]["type"] != "json_invalid"
            said = "it is no JSON-RPC message (a request, a notification or a response, one in a line)"
            error = ErrorData(code=INVALID_REQUEST, message=f"Invalid request: {said}")
            if not is_json:
                error = ErrorData(code=PARSE_ERROR, message="Parse error: the line is not JSON in UTF-8")
            with suppress(anyio.ClosedResourceError):  # at the end
                await writing.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=None, error=error)))


async def _hold(
    ready: Ready, end: _End, *, task_status: anyio.abc.TaskStatus[Server[Any]] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Keep the server's own things open until it is over, in a task of their own."""
    is_up = False
    try:
        async with ready() as server:
            is_up = True
            task_status.started(server)
            await end.over.wait()
    except (BelljarError, BaseExceptionGroup) as error:
        cause = only(error) if isinstance(error, BaseExceptionGroup) else error
        if not is_up or not isinstance(cause, BelljarError):
            raise
        print(f"belljar: {cause}", file=sys.stderr, flush=True)
        end.code = exits.ENGINE_ERROR
    if end.code:
        # A thread waits for the next line, and nothing ends that but its coming. All that is ours has been ended.
        os._exit(end.code)
