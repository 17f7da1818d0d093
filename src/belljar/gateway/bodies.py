"""The body of a request, on its way in: within its limit, and not waited for without end; and all bodies together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
from starlette.types import Message, Receive, Scope

from belljar.errors import BelljarError, Overloaded, RateLimited, RequestTooLarge

_DRAIN_FACTOR = 4
_DRAIN_SECONDS = 10
_SMALL_BYTES = 1024 * 1024
_STREAM_BYTES = 512 * 1024
"""Pieces of a body that is passed on as it comes in, and copies of them."""
_RETRY_SECONDS = 5


class Room:
    """What bodies may have together, and half as much those of one tenant. One alone always finds room."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._taken = 0
        self._of_tenants = Counter[str]()

    def take(self, tenant: str, size: int) -> None:
        """Raises RateLimited where the tenant has its share, and Overloaded where nothing is left."""
        own, share = self._of_tenants[tenant], self._most // 2
        if own and own + size > share:
            raise RateLimited(
                f"Requests of yours that are under way have bodies of {own:,} bytes, and may have {share:,} together. "
                "Send this one again when one of them has been answered.",
                retry_after=_RETRY_SECONDS,
            )
        if self._taken and self._taken + size > self._most:
            raise Overloaded(
                "The server holds as many large requests as it has memory for. Send this one again in a while.",
                retry_after=_RETRY_SECONDS,
            )
        self._taken += size
        self._of_tenants[tenant] += size

    def give_back(self, tenant: str, size: int) -> None:
        self._taken -= size
        self._of_tenants[tenant] -= size
        if not self._of_tenants[tenant]:
            del self._of_tenants[tenant]


class InHand:
    """The bodies of all requests under way: each lies in memory, in several forms, until it is answered.

    Small ones have room of their own, a quarter as much again: they are not refused because others send large ones.
    """

    def __init__(self, most_bytes: int) -> None:
        self._large = Room(most_bytes)
        self._small = Room(most_bytes // 4)

    @contextmanager
    def holding(self, tenant: str) -> Iterator[Held]:
        """A block in which a body of that tenant's may be in hand."""
        held = Held(tenant, self._small, self._large)
        try:
            yield held
        finally:
            held.let_go()


class Held:
    """How much of one body is in hand. Made by `InHand.holding`."""

    def __init__(self, tenant: str, small: Room, large: Room) -> None:
        self._tenant = tenant
        self._small, self._large = small, large
        self._room, self._size = small, 0

    def hold(self, size: int) -> None:
        """It has so many bytes, or will have. Raises RateLimited and Overloaded as `Room` does."""
        if size > self._size:
            self._take(self._small if size <= _SMALL_BYTES else self._large, size)

    def hold_stream(self) -> None:
        """It is read as it comes in, and never in hand as a whole. Raises the same."""
        self._take(self._large, _STREAM_BYTES)

    def _take(self, room: Room, size: int) -> None:
        self.let_go()
        room.take(self._tenant, size)
        self._room, self._size = room, size

    def let_go(self) -> None:
        if self._size:
            self._room.give_back(self._tenant, self._size)
            self._size = 0


@dataclass(frozen=True)
class Limit:
    """How large a body may be, and what is said of one that is larger."""

    most_bytes: int
    refusal: str


class BodyStalled(BelljarError):
    """The client has stopped in the middle of its request's body."""

    status = 408
    kind = "timeout_error"


class Encoded(BelljarError):
    """The body is compressed, and nobody here unpacks it."""

    status = 415
    kind = "invalid_request_error"


class Body:
    """A request's body, on its way in."""

    def __init__(self, scope: Scope, receive: Receive, limit: Limit, silence_seconds: float) -> None:
        self._receive = receive
        self._limit = limit
        self._silence_seconds = silence_seconds
        self._size = 0
        self._is_complete = False
        self._has_stalled = False
        headers = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        self._announced = int(announced) if announced.isdigit() else None
        self._has_body = bool(self._announced) or b"transfer-encoding" in headers
        self._encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
        self._waits_for_us = headers.get(b"expect", b"").lower() == b"100-continue"

    async def piece(self) -> bytes | None:
        """What has come next, empty at the end; None where the client hung up.

        Raises RequestTooLarge, and BodyStalled where nothing comes for too long.
        """
        while not self._is_complete:
            try:
                with anyio.fail_after(self._silence_seconds):
                    message = await self._receive()
            except TimeoutError as error:
                self._has_stalled = True
                raise BodyStalled(
                    f"Nothing more of the request's body has come for {self._silence_seconds:g} seconds, and it is not "
                    "complete. Send it again."
                ) from error
            if message["type"] == "http.disconnect":
                return None
            piece: bytes = message.get("body", b"")
            self._waits_for_us = False
            self._size += len(piece)
            self._is_complete = not message.get("more_body", False)
            if self._size > self._limit.most_bytes:
                raise RequestTooLarge(self._limit.refusal)
            if piece:
                return piece
        return b""

    async def whole(self, held: Held) -> bytes | None:
        """All of it; None where the client hung up before it was complete. Raises RequestTooLarge, Encoded, and what
        `held` does: before anything is read, where the client says how much it will send.
        """
        self.check_head()
        held.hold(self._announced or 0)
        found = bytearray()
        while not self._is_complete:
            piece = await self.piece()
            if piece is None:
                return None
            held.hold(self._size)
            found += piece
        return bytes(found)

    def check_head(self) -> None:
        """Raises RequestTooLarge where the client says that it will send too much, and Encoded."""
        if self._encoding.lower() != "identity":
            raise Encoded(
                f"content-encoding: this server does not unpack request bodies ({self._encoding!r}). Send it as it is."
            )
        if self._announced is not None and self._announced > self._limit.most_bytes:
            raise RequestTooLarge(self._limit.refusal)

    async def drain(self) -> bool:
        """Read on for a while: a client that is still sending would see a broken connection, not our answer.

        Returns whether the connection cannot be used again. One that waits for our word sends nothing when it gets
        an answer instead.
        """
        if self._is_complete or not self._has_body:
            return False
        if not self._waits_for_us and not self._has_stalled:
            left = self._limit.most_bytes * _DRAIN_FACTOR
            with anyio.move_on_after(_DRAIN_SECONDS):
                while left > 0:
                    message = await self._receive()
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        break
                    left -= len(message.get("body", b""))
        return True


class Stream:
    """`receive` for an application that reads the body as it comes in. A client that hangs up cancels `scope`."""

    def __init__(self, body: Body, scope: anyio.CancelScope) -> None:
        self._body = body
        self._scope = scope

    async def receive(self) -> Message:
        piece = await self._body.piece()
        if piece is None:
            self._scope.cancel()
            await anyio.sleep_forever()
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}


class Once:
    """`receive` for an application whose body has been read already."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def receive(self) -> Message:
        if self._body is None:
            await anyio.sleep_forever()  # a hang-up cancels the application; nobody has to ask
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
