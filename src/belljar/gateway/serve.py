"""The gateway as a running server, from its first request to its last."""

from __future__ import annotations

import gc
import ipaddress
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread
import structlog
import uvicorn
from anyio.abc import TaskGroup
from starlette.types import ASGIApp, Receive, Scope, Send

from belljar import kernel, link, warm
from belljar.errors import InvalidRequest, StoreFailed, only
from belljar.gateway import owner
from belljar.gateway.access import OWNER
from belljar.gateway.activity import UnderWay
from belljar.gateway.app import application, open_parts
from belljar.gateway.connections import Http, OwnersHttp, base_url, listen, server_of
from belljar.gateway.log import keep_short
from belljar.gateway.notice import tell
from belljar.gateway.placement.local import KeeperStart
from belljar.gateway.store.sqlite import open_store
from belljar.settings import YES_OPEN, Settings

log = structlog.get_logger("belljar.gateway")

_FINISH_SECONDS = 5
"""For requests that are under way when the server is asked to end."""
_UNWIND_SECONDS = 5
"""For those that were then cut short."""
_LOOK_SECONDS = 0.5
"""Between two looks at whether a server is still used that is to end."""
_PLACE_SECONDS = 5
"""Between two looks at whether the state directory is still there."""
_LOG_SECONDS = 60
"""Between two looks at how long the log has become."""


@dataclass(frozen=True)
class Manner:
    """How a server is there."""

    by: Literal["serve", "up", "chat"] = "serve"
    """The command that has started it."""
    has_port: bool = True
    """It listens on a port, and not only where its owner's commands find it."""
    idle_minutes: float | None = None
    """It ends by itself when it was not used for so long."""
    ends_with_stdin: bool = False
    """It ends when nobody holds its standard input open any more."""


async def serve(
    settings: Settings,
    *,
    on_ready: Callable[[str, bool], None],
    keeper_start: KeeperStart = link.start,
    manner: Manner = Manner(),
) -> None:
    """Serve until SIGTERM, SIGINT or the terminal's end (SIGHUP); `on_ready` gets the base URL (empty without a port),
    and whether API keys are asked for, once requests are answered. Raises InvalidRequest where the server would be open
    to other machines, Taken where another one has the state directory.

    The first signal ends the server cleanly: nothing new is accepted, requests under way have a few seconds,
    and what is cut short then is named in the log. A second one does not wait.
    """
    kernel.give_back_large()  # answers of tens of megabytes come and go
    under_way = UnderWay()
    with ExitStack() as stack:
        place = stack.enter_context(owner.own_place(settings.state_dir))
        listener = None
        if manner.has_port:
            listener = stack.enter_context(listen(settings.host, settings.port))
            await _refuse_to_be_open(settings, listener)
        owners = _owners(stack, place, manner)
        try:
            # The parts are opened here and not by uvicorn's lifespan, which would hide why they do not open.
            async with open_parts(settings, keeper_start) as parts:
                app = application(settings, under_way, parts)
                server = _Server(
                    app, owner.Programs(parts, under_way), under_way, settings.body_silence_seconds
                )
                url = base_url(listener) if listener is not None else ""
                host = listener.getsockname()[0] if listener is not None else ""

                def ready() -> None:
                    if owners is not None:
                        facts = owner.record(manner.by, url, host, parts, manner.idle_minutes)
                        warm.write_record(str(place), facts)
                    # What is there stays: a collection that looks at it holds up every request for 50 ms.
                    gc.freeze()
                    on_ready(url, parts.access.has_keys)

                await server.run(listener, owners, place, manner, ready)
        except BaseExceptionGroup as group:
            raise only(group) from None  # as whoever has started us tells it in a sentence


def _owners(stack: ExitStack, place: Path, manner: Manner) -> tuple[socket.socket, socket.socket] | None:
    """Where the owner's commands find the server; None where its directory can have no sockets. Raises InvalidRequest
    where nothing else would be left."""
    try:
        return (
            stack.enter_context(owner.listen(place, warm.API)),
            stack.enter_context(owner.listen(place, warm.RUNS)),
        )
    except OSError as error:
        if not manner.has_port:
            raise InvalidRequest(
                f"There can be no socket in {place}: {error.strerror}. Choose another --state-dir."
            ) from error
        log.warning("commands of this user will not find the server", place=str(place), error=error.strerror)
        return None


class _Server:
    """All that listens, from the first request to the last."""

    def __init__(
        self, app: ASGIApp, programs: owner.Programs, under_way: UnderWay, head_seconds: float
    ) -> None:
        self._app = app
        self._head_seconds = head_seconds
        self._programs = programs
        self._under_way = under_way
        self._servers: list[uvicorn.Server] = []
        self._has_lost_place = False

    async def run(
        self,
        listener: socket.socket | None,
        owners: tuple[socket.socket, socket.socket] | None,
        place: Path,
        manner: Manner,
        ready: Callable[[], None],
    ) -> None:
        own = (place / warm.LOCK).stat()
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._end_on_signals, place)
            async with anyio.create_task_group() as serving:
                if listener is not None:
                    self._start(serving, listener, self._app, Http)
                if owners is not None:
                    self._start(serving, owners[0], _owned(self._app), OwnersHttp)
                    tasks.start_soon(self._programs.serve, owners[1])
                tasks.start_soon(self._end_without_place, place, own)
                if manner.idle_minutes is not None:
                    tasks.start_soon(self._end_when_idle, manner.idle_minutes * 60, place)
                if manner.by != "serve":
                    tasks.start_soon(_keep_log_short, place / warm.LOG)
                if manner.ends_with_stdin:
                    tasks.start_soon(self._end_with_stdin, place)
                ready()
                tell("READY=1")
            await self._under_way.ended(_FINISH_SECONDS + _UNWIND_SECONDS)
            tasks.cancel_scope.cancel()
        if self._has_lost_place:
            raise StoreFailed(
                f"The server has ended, for its state directory {place.parent} was deleted or moved while it was up."
            )

    def _start(self, serving: TaskGroup, listener: socket.socket, app: ASGIApp, protocol: type[Http]) -> None:
        server = server_of(
            app, protocol, head_seconds=self._head_seconds, end_seconds=_FINISH_SECONDS + _UNWIND_SECONDS
        )
        self._servers.append(server)
        serving.start_soon(lambda: server.serve(sockets=[listener]))

    def _end(self, place: Path) -> bool:
        """Begin to end. Returns whether that had begun already."""
        has_begun = self._programs.is_ending
        self._programs.is_ending = True
        self._under_way.let_go()
        (place / warm.RECORD).unlink(missing_ok=True)  # no command looks for it any more
        for server in self._servers:
            server.force_exit = has_begun
            server.should_exit = True
        return has_begun

    async def _end_on_signals(self, place: Path, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        numbers = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it, and then it is to live on
            numbers.append(signal.SIGHUP)
        try:
            with anyio.open_signal_receiver(*numbers) as signals:
                task_status.started()
                await self._heed(signals, place)
        finally:
            # Of a terminal's end both the shell and the kernel tell, and containers are put away now.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def _heed(self, signals: AsyncIterator[signal.Signals], place: Path) -> None:
        async with anyio.create_task_group() as tasks:
            async for number in signals:
                if number == signal.SIGHUP and self._programs.is_ending:
                    continue
                if self._end(place):
                    log.warning("stopping at once", signal=number.name)
                    self._under_way.cut_short()
                else:
                    log.info("stopping", signal=number.name, under_way=len(self._under_way))
                    tell("STOPPING=1")
                    tasks.start_soon(_cut_short_later, self._under_way)

    async def _end_when_idle(self, seconds: float, place: Path) -> None:
        while True:
            left = self._under_way.used_at + seconds - time.monotonic()
            if left <= 0 and not len(self._under_way):
                log.info("stopping", idle_seconds=seconds)
                self._end(place)
                return
            await anyio.sleep(max(left, _LOOK_SECONDS))

    async def _end_without_place(self, place: Path, own: os.stat_result) -> None:
        """What would be kept from then on nobody would find again, and of a key that is revoked we would not hear."""
        while True:
            await anyio.sleep(_PLACE_SECONDS)
            try:
                self._has_lost_place = not os.path.samestat(own, (place / warm.LOCK).stat())
            except FileNotFoundError:
                self._has_lost_place = True
            if self._has_lost_place:
                log.error(
                    "stopping, for the state directory was deleted or moved", state_dir=str(place.parent)
                )
                self._end(place)
                await _cut_short_later(self._under_way)
                return

    async def _end_with_stdin(self, place: Path) -> None:
        await anyio.wait_readable(0)  # nothing is ever written there
        self._end(place)
        await _cut_short_later(self._under_way)


def _owned(app: ASGIApp) -> ASGIApp:
    """The application for those who need no key."""

    async def owned(scope: Scope, receive: Receive, send: Send) -> None:
        scope[OWNER] = True
        await app(scope, receive, send)

    return owned


async def _keep_log_short(file: Path) -> None:
    while True:
        await anyio.sleep(_LOG_SECONDS)
        await anyio.to_thread.run_sync(keep_short, file)


async def _cut_short_later(under_way: UnderWay) -> None:
    await anyio.sleep(_FINISH_SECONDS)
    under_way.cut_short()


async def _refuse_to_be_open(settings: Settings, listener: socket.socket) -> None:
    """Raises InvalidRequest where machines other than this one would be served without a key."""
    # What a name stands for is known when it was bound, and only then.
    if settings.open or ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        return
    async with open_store(settings.state_dir / "belljar.sqlite3") as store:
        if await store.all_keys():
            return
    raise InvalidRequest(
        f"{settings.host!r} can be reached from other machines, and there are no API keys yet to tell callers apart. "
        "Make one with `belljar keys create NAME`, listen on 127.0.0.1, or set "
        f"BELLJAR_OPEN={YES_OPEN} where whoever reaches the port may run code."
    )
