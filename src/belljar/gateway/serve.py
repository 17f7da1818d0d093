"""The gateway as a running server, from its first request to its last."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from belljar import link
from belljar.errors import InvalidRequest
from belljar.gateway.app import application, open_parts
from belljar.gateway.envelope import UnderWay
from belljar.gateway.frame import json_bytes
from belljar.gateway.notice import tell
from belljar.gateway.placement.local import KeeperStart
from belljar.gateway.store.sqlite import open_store
from belljar.settings import YES_OPEN, Settings
from belljar.wire.ids import new_id
from belljar.wire.resources import error_document

log = structlog.get_logger("belljar.gateway")

_FINISH_SECONDS = 5
"""For requests that are under way when the server is asked to end."""
_UNWIND_SECONDS = 5
"""For those that were then cut short."""
_BACKLOG = 1024
_JOINED_BYTES = 65536
"""What is larger makes packets of its own, and to join it would copy it."""


class _Server(uvicorn.Server):
    """uvicorn without its own signals: ours say when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Http(HttpToolsProtocol):
    """uvicorn's, with writes that are joined."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(_Joined(transport))

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told so as everything else is, though no application ever sees it."""
        request_id = new_id("req")
        body = json_bytes(error_document("invalid_request_error", msg, request_id))
        head = (
            f"HTTP/1.1 400 Bad Request\r\nrequest-id: {request_id}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


class _Joined(asyncio.Transport):
    """A transport that sends a write together with what is written right after it: an answer's head with its body.

    Each packet costs the kernel and the client more than anything else that is done for a small answer.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held: bytes | bytearray | memoryview = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._held:
            self._held = data
            self._loop.call_soon(self._flush)
        else:
            if len(data) <= _JOINED_BYTES:
                data, self._held = b"".join((self._held, data)), b""
            self._flush()
            self._transport.write(data)

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()


async def serve(
    settings: Settings, *, on_ready: Callable[[str, bool], None], keeper_start: KeeperStart = link.start
) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready` gets the base URL, and whether API keys are asked for, once requests
    are answered. Raises InvalidRequest where the server would be open to other machines.

    The first signal ends the server cleanly: nothing new is accepted, requests under way have a few seconds,
    and what is cut short then is named in the log. A second one does not wait.
    """
    under_way = UnderWay()
    with _listen(settings.host, settings.port) as listener:
        await _refuse_to_be_open(settings, listener)
        # The parts are opened here and not by uvicorn's lifespan, which would hide why they do not open.
        async with open_parts(settings, keeper_start) as parts:
            app = application(settings, under_way, parts)
            await _run(
                _Server(_config(app)), listener, under_way, lambda url: on_ready(url, parts.access.has_keys)
            )


async def _run(
    server: uvicorn.Server, listener: socket.socket, under_way: UnderWay, on_ready: Callable[[str], None]
) -> None:
    async with anyio.create_task_group() as tasks:
        await tasks.start(_end_on_signals, server, under_way)
        on_ready(_base_url(listener))
        tell("READY=1")
        await server.serve(sockets=[listener])
        tasks.cancel_scope.cancel()


async def _end_on_signals(
    server: uvicorn.Server, under_way: UnderWay, *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async with anyio.create_task_group() as tasks:
            async for number in signals:
                name = signal.Signals(number).name
                if server.should_exit:
                    log.warning("stopping at once", signal=name)
                    server.force_exit = True
                    under_way.cut_short()
                else:
                    log.info("stopping", signal=name, under_way=len(under_way))
                    tell("STOPPING=1")
                    server.should_exit = True
                    under_way.let_go()
                    tasks.start_soon(_cut_short_later, under_way)


async def _cut_short_later(under_way: UnderWay) -> None:
    await anyio.sleep(_FINISH_SECONDS)
    under_way.cut_short()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        http=_Http,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks where a request came from
        timeout_graceful_shutdown=_FINISH_SECONDS + _UNWIND_SECONDS,
    )


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


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens already, so that nobody who hears of it is refused."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InvalidRequest(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose another host or port."
        ) from error
    # Accepted sockets inherit it; asyncio would set it only on sockets that it has made itself. Without it an
    # answer's body waits for the client's delayed acknowledgement of its head: 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    return listener


def _base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - for a client on this machine
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
