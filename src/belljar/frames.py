"""Messages between processes, as bytes. Standard library only: the guest runs this file too.

A message is a small JSON object (the head) and an opaque body. On the wire:

    frame   = kind (1 byte) · zero (3 bytes) · length (4 bytes, big-endian, at most 65,536) · payload
    message = one HEAD frame (JSON object; its "body" member says how many bytes follow)
              · BODY frames, each as full as it can be, until exactly that many bytes have come

One end of a stream may be hostile. So the decoder keeps at most one frame and one message in memory, knows
no compression, no references and no types beyond JSON's, and the first violation ends the stream: there is
no way back into step with a peer that has lied once.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

HEADER = struct.Struct("!B3sI")
MAX_PAYLOAD = 65536
MAX_RUN_BYTES = 64 * 1024 * 1024
"""Of a run that is handed to the guest: code, standard input and what else goes with it, as JSON."""
HEAD = 1
BODY = 2
_ZERO = b"\0\0\0"
_SURROGATE = re.compile(r"(?<!\\)(?:\\\\)*\\u[dD][89a-fA-F]")
"""An escape for half a character, and what stands before it is no backslash that it belongs to. `encode` writes whole
characters as they are, so even two of them that fit are no word of ours."""


class ProtocolError(Exception):
    """The peer sent bytes that are no message. Nothing more may be read from it."""


class Message(NamedTuple):
    """`kind` says what it is about; `head` holds JSON values only; `body` is raw bytes."""

    kind: str
    head: dict[str, Any]
    body: bytes = b""


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def encode(message: Message) -> bytes:
    """The bytes of a message. Raises ValueError when the head is larger than one frame."""
    head = {**message.head, "kind": message.kind, "body": len(message.body)}
    text = _ENCODER.encode(head)
    # A lone surrogate cannot be UTF-8, and both ends must agree on the text.
    payload = text.encode("utf-8", "replace")
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(
            f"the head of a {message.kind!r} message has {len(payload)} bytes, over {MAX_PAYLOAD}"
        )
    parts: list[bytes | memoryview] = [HEADER.pack(HEAD, _ZERO, len(payload)), payload]
    body = memoryview(message.body)  # slices of it are no copies, and a body may have megabytes
    for start in range(0, len(body), MAX_PAYLOAD):
        piece = body[start : start + MAX_PAYLOAD]
        parts += (HEADER.pack(BODY, _ZERO, len(piece)), piece)
    return b"".join(parts)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """A number, and not the infinity that 1e999 would be: `encode` could not pass that on."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is out of range")
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


class Decoder:
    """Turns a stream of bytes, in pieces of any size, into messages. Pure: it reads nothing itself.

    `max_body` bounds the body of one message, in bytes.
    """

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._pending = bytearray()
        """The beginning of a frame's header, or of a head."""
        self._kind: str | None = None
        self._head: dict[str, Any] = {}
        self._frames: list[bytes] = []
        """Of the body, as far as they are complete; and the beginning of the one that is not."""
        self._frame = bytearray()
        self._missing = 0
        """Of the body; and of the frame that carries the next of it:"""
        self._frame_missing = 0

    @property
    def is_between_messages(self) -> bool:
        """Whether the stream may end here without cutting a message in two."""
        return self._kind is None and not self._pending

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete with `data`. Raises ProtocolError at the first violation."""
        is_pending = bool(self._pending)
        if is_pending:
            self._pending += data
        at = 0
        view = memoryview(self._pending if is_pending else data)
        try:
            while True:
                if self._frame_missing:
                    with view[at : at + self._frame_missing] as piece:
                        at += len(piece)
                        body = self._more(piece)
                    if body is not None:
                        yield self._message(body)
                    elif self._frame_missing:
                        break
                elif len(view) - at < HEADER.size:
                    break
                else:
                    kind, zero, length = HEADER.unpack_from(view, at)
                    self._check(kind, zero, length)
                    end = at + HEADER.size
                    if kind == BODY:
                        self._frame_missing = length
                    elif len(view) < end + length:
                        break
                    else:
                        end += length
                        self._begin(bytes(view[end - length : end]))
                    at = end
                    if not self._missing:
                        yield self._message(b"")
        finally:
            view.release()
            if is_pending:
                del self._pending[:at]
            elif at < len(data):
                self._pending += data[at:]

    def _check(self, kind: int, zero: bytes, length: int) -> None:
        if kind not in (HEAD, BODY) or zero != _ZERO or length > MAX_PAYLOAD:
            raise ProtocolError("no frame header")
        if kind == HEAD:
            if self._kind is not None:
                raise ProtocolError("a message began inside another")
        # Frames are as full as they can be: a body in crumbs only costs the reader its time.
        elif self._kind is None or length != min(self._missing, MAX_PAYLOAD) or not length:
            raise ProtocolError("a body that no head announced")

    def _more(self, piece: memoryview) -> bytes | None:
        """Take in a piece of a body. Returns the body when that was its last."""
        self._missing -= len(piece)
        self._frame_missing -= len(piece)
        if self._frame_missing or self._frame:
            self._frame += piece
        if self._frame_missing:
            return None
        # Frame by frame, and not one buffer that grows: each time that would take new pages from the kernel.
        self._frames.append(bytes(self._frame or piece))
        self._frame.clear()
        return None if self._missing else b"".join(self._frames)

    def _message(self, body: bytes) -> Message:
        assert self._kind is not None
        message = Message(self._kind, self._head, body)
        self._kind, self._head, self._frames = None, {}, []
        return message

    def _begin(self, payload: bytes) -> None:
        try:
            # Decoded here: json.loads would take bytes in UTF-16, UTF-32 and half characters as well.
            text = payload.decode("utf-8")
            if _SURROGATE.search(text):
                raise ValueError("half a character")
            head = _DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            raise ProtocolError("the head is not JSON") from error
        if not isinstance(head, dict):
            raise ProtocolError("the head is not an object")
        kind, body = head.pop("kind", None), head.pop("body", None)
        if not isinstance(kind, str) or type(body) is not int or not 0 <= body <= self._max_body:
            raise ProtocolError("the head names no kind, or a body that is too large")
        self._kind, self._head, self._missing = kind, head, body
