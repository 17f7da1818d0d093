"""Connections of clients: uvicorn's, with bounds on what a client may have here before its request has a head, and
writes that are joined."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from belljar.errors import InvalidRequest, Overloaded
from belljar.gateway import owner
from belljar.gateway.frame import json_bytes
from belljar.wire.ids import new_id
from belljar.wire.resources import error_document

log = structlog.get_logger("belljar.gateway")

_KEEP_SECONDS = 75
"""A connection without a request: longer than clients and proxies keep one (nginx a minute), or they would send a
request on one that is just being closed, and a proxy may not send it again."""
_HEAD_BYTES = 256 * 1024
"""It lies in memory, and is joined piece by piece."""
_BACKLOG = 1024
_JOINED_BYTES = 65536
"""What is larger makes packets of its own, and to join it would copy it."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens already, so that nobody who hears of it is refused. Raises InvalidRequest."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        # Python puts "(while …" behind it, with the address once more.
        why = str(error.strerror).partition(" (while ")[0]
        raise InvalidRequest(
            f"Cannot listen on {host}:{port}: {why}. Choose another host or port (--port 0: a free one)."
        ) from error
    # Accepted sockets inherit it; asyncio would set it only on sockets that it has made itself. Without it an
    # answer's body waits for the client's delayed acknowledgement of its head: 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    return listener


def base_url(listener: socket.socket) -> str:
    """The URL of it for a client on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what it is reached by
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_of(app: ASGIApp, protocol: type[Http], *, head_seconds: float, end_seconds: int) -> uvicorn.Server:
    """One that ends when it is told to by `should_exit`, and cuts off what is then not over in `end_seconds`.

    `head_seconds`: from the beginning of a connection, or of a head, until that has come whole.
    """
    config = _Config(
        app,
        lifespan="off",
        http=protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_SECONDS,
        proxy_headers=False,  # nothing here asks where a request came from
        timeout_graceful_shutdown=end_seconds,
    )
    config.head_seconds = head_seconds
    return _Server(config)


class _Server(uvicorn.Server):
    """uvicorn without its own signals: ours say when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Config(uvicorn.Config):
    head_seconds: float


class Http(HttpToolsProtocol):
    """uvicorn's, with writes that are joined, and bounds on what a client may have here before its request has a head:
    whoever sends no more than that needs no key for it.
    """

    _late: asyncio.TimerHandle | None = None
    """Closes the connection, unless a head comes."""
    _is_in_head = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(_Joined(transport))
        # The other half is for files, model servers and all else: without any left nothing works any more, and the loop
        # says so in the log as fast as it can.
        if len(self.connections) > resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2:
            self._refuse("529 Overloaded", Overloaded.kind, "There are too many connections.")
        else:
            self._expect_head()

    def _expect_head(self) -> None:
        assert isinstance(self.config, _Config)
        self._late = self.loop.call_later(self.config.head_seconds, self._end_without_head)

    def _end_without_head(self) -> None:
        if self._is_in_head and not self.transport.is_closing():
            self._refuse("408 Request Timeout", "timeout_error", "The head of the request did not come.")
        self.transport.close()

    def _expect_no_head(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_under_way = self.cycle is not None and not self.cycle.response_complete
        if self._late is None and not is_under_way and not self.transport.is_closing():
            self._expect_head()  # what has come ended uvicorn's own wait for the next request
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(f"The head of a request may have {_HEAD_BYTES:,} bytes.")

    def on_message_begin(self) -> None:
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._expect_no_head()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_in_head and not self.transport.is_closing():
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_no_head()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told so as everything else is, though no application ever sees it."""
        self._refuse("400 Bad Request", "invalid_request_error", msg)

    def _refuse(self, status: str, kind: str, msg: str) -> None:
        request_id = new_id("req")
        log.info("no request", status=int(status[:3]), why=msg, request_id=request_id)
        body = json_bytes(error_document(kind, msg, request_id))
        head = (
            f"HTTP/1.1 {status}\r\nrequest-id: {request_id}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


class OwnersHttp(Http):
    """The same by the socket of the owner's commands."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not owner.is_owner(transport.get_extra_info("socket")):
            self.transport.abort()


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
            # The client may be next on our own processor: what is left to be done here is for nobody who waits.
            os.sched_yield()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._held = b""
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()
