"""One end of the socket between an owner and its keeper: messages that arrive, and messages to send."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from belljar.frames import Decoder, Message, ProtocolError, encode

_BUFFER_BYTES = 1024 * 1024
"""As much of it as the kernel gives anybody: what does not fit takes a wake-up of both ends for each part."""
_SOON_SECONDS = 0.003
_SOON_BYTES = 16_384
"""Of messages that wait for company."""


class Line(asyncio.Protocol):
    """Made by `open_line`. What arrives is handed to `take` in the very wake-up that reads it; `end` is called last.

    So nothing holds back a peer that says much: each end says no more than it was asked for, which has limits.
    """

    def __init__(self, max_body: int, take: Callable[[Message], None], end: Callable[[], None]) -> None:
        self.take = take
        self._end = end
        self._decoder = Decoder(max_body)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._held = bytearray()
        self._flushing: asyncio.TimerHandle | None = None
        self._full: asyncio.Future[None] | None = None
        """Done when there is room again for what is written."""
        self._turn = asyncio.Lock()
        """Who comes when there is room again does not overtake those who have waited for it."""

    async def send(self, message: Message) -> None:
        """Send it, behind what waits for company. Waits while the peer is slow; to one that is gone nothing is sent."""
        data = encode(message)
        async with self._turn:
            await self._writable()
            self._write(data)

    async def send_soon(self, message: Message) -> None:
        """The same, but a small message may wait some milliseconds for others to go out with: each wakes the peer."""
        data = encode(message)
        async with self._turn:
            await self._writable()
            if len(self._held) + len(data) > _SOON_BYTES:
                self._write(data)
                return
            if self._flushing is None:
                self._flushing = self._loop.call_later(_SOON_SECONDS, self._write, b"")
            self._held += data

    def abort(self) -> None:
        """The peer reads the end, and nothing of what was not sent yet."""
        self._transport.abort()

    async def _writable(self) -> None:
        while self._full is not None:
            await asyncio.shield(self._full)

    def _write(self, data: bytes) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
            data = b"".join((self._held, data))
            self._held.clear()
        if not self._transport.is_closing():
            self._transport.write(data)

    # -- what asyncio calls --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._decoder.feed(data):
                self.take(message)
        except ProtocolError:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.resume_writing()
        self._end()

    def pause_writing(self) -> None:
        self._full = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._full is not None:
            self._full.set_result(None)
            self._full = None


async def open_line(
    sock: socket.socket, max_body: int, take: Callable[[Message], None], end: Callable[[], None]
) -> Line:
    """A line over `sock`, which is the line's from now on."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    loop = asyncio.get_running_loop()
    _, line = await loop.create_unix_connection(lambda: Line(max_body, take, end), sock=sock)
    return line
