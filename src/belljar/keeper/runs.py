"""A run under way: what it has given back so far, within limits, and what has to be done about it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from belljar.frames import Message, ProtocolError
from belljar.keeper.capture import Capture
from belljar.keeper.waiting import Flag
from belljar.wire.execution import Limits

MAX_RUN_DISPLAY_BYTES = 32 * 1024 * 1024
MAX_RUN_TEXT_BYTES = 8 * 1024 * 1024
"""Of what is no picture: as JSON it can become six times as long."""
MAX_RUN_DISPLAYS = 256
MAX_RUN_MESSAGES = 10_000
"""Past this the guest only wants to keep the keeper busy."""
MAX_RUN_BYTES = 64 * 1024 * 1024
"""Of messages of one run, read or not."""
RUNAWAY_FACTOR = 64
"""A program that has written this many times its output limit is stopped."""

Emit = Callable[[Message], Awaitable[None]]


class Budget:
    """How much a guest may say on its control socket."""

    def __init__(self) -> None:
        self._messages = 0
        self._bytes = 0

    def received(self, size: int) -> None:
        """So many more bytes of messages. Raises ProtocolError past MAX_RUN_BYTES."""
        self._bytes += size
        if self._bytes > MAX_RUN_BYTES:
            raise ProtocolError("too many bytes")

    def count(self) -> None:
        """One more message. Raises ProtocolError past MAX_RUN_MESSAGES."""
        self._messages += 1
        if self._messages > MAX_RUN_MESSAGES:
            raise ProtocolError("too many messages")


class Run:
    """A run under way. The first of `stop` and `finished` that is set decides how it ended."""

    def __init__(self, number: int, emit: Emit, limits: Limits) -> None:
        self.number = number
        self.emit = emit
        self.budget = Budget()
        self.captures = {name: Capture(limits.output_bytes) for name in ("stdout", "stderr")}
        self._runaway_bytes = RUNAWAY_FACTOR * limits.output_bytes
        self._untold: deque[Message] = deque()
        """What was read and not emitted yet: no more than `captures` let through, and of that what one look reads."""
        self.stop: str | None = None
        self.finished: dict[str, Any] | None = None
        self.attention = Flag()
        """Something has to be done about the run: it is over, or it has to be stopped."""
        self.started = Flag()
        """SIGINT would reach the code: before, the guest ignores it."""
        self.has_begun = False
        """The guest has said that it begins with the code."""
        self.done = Flag()
        self.settled = Flag()
        """Done, or not to be waited for any longer."""
        self.is_over = False
        """Everything in the session has been stopped or killed: nothing of the run goes on."""
        self._displays = 0
        self._display_bytes = 0
        self._text_bytes = 0
        self.displays_left_out = 0
        self.peak_bytes = 0
        self.peak_pids = 0
        self.peak_locks = 0
        self.first_result_at: float | None = None
        """On the clock of time.perf_counter: when the run first gave something back."""

    def ask_to_stop(self, reason: str) -> None:
        """Have the run ended for `reason`, unless something else ended it first."""
        if self.stop is None and not self.done.is_set():
            self.stop = reason
            self.attention.set()

    def exceeded(self, limit: str) -> None:
        """It is over a limit: have it stopped, and where it is being stopped already, give it no more time."""
        if self.stop is None and not self.done.is_set():
            self.ask_to_stop(limit)
        else:
            self.settled.set()

    def hear_of_start(self, message: Message) -> None:
        """Perhaps the guest's word that it begins with the code."""
        if message.kind == "started" and message.head.get("run") == self.number:
            self.has_begun = True
            self.started.set()

    def end(self) -> None:
        """The guest says that it is done, or is no more."""
        self.started.set()
        self.done.set()
        self.settled.set()
        self.attention.set()

    def heard(self) -> None:
        """Something has come from the run."""
        if self.first_result_at is None:
            self.first_result_at = time.perf_counter()

    def text(self, name: str, data: bytes) -> None:
        """Output on `name`, to be told next."""
        self.heard()
        capture = self.captures[name]
        text = capture.feed(data)
        if capture.total_bytes > self._runaway_bytes:
            self.ask_to_stop("output_exceeded")
        if text:
            self._untold.append(Message("stream", {"name": name}, text.encode()))

    @property
    def has_untold(self) -> bool:
        """Whether there is output for `tell`."""
        return bool(self._untold)

    async def tell(self) -> None:
        """Emit what output there is. It takes as long as the owner does."""
        while self._untold:
            await self.emit(self._untold.popleft())

    async def tell_rest(self) -> None:
        """Emit the end of the output as well, when nothing more can come."""
        await self.tell()
        for name, capture in self.captures.items():
            if rest := capture.finish():
                await self.emit(Message("stream", {"name": name}, rest.encode()))

    async def display(self, message: Message) -> None:
        """Emit a rich value. Raises ProtocolError where it is none."""
        kind, parts = message.head.get("type"), message.head.get("parts")
        if kind not in ("display_data", "execute_result"):
            raise ProtocolError("a display that is none")
        sizes = _parts(parts, len(message.body))
        self._displays += 1
        self._display_bytes += len(message.body)
        self._text_bytes += sum(size for mime, size in sizes if _is_text(mime))
        if (
            self._displays > MAX_RUN_DISPLAYS
            or self._display_bytes > MAX_RUN_DISPLAY_BYTES
            or self._text_bytes > MAX_RUN_TEXT_BYTES
        ):
            self.displays_left_out += 1
        else:
            await self.emit(Message("display", {"type": kind, "parts": parts}, message.body))


def _is_text(mime: str) -> bool:
    return not mime.startswith("image/") or mime.startswith("image/svg")


def _parts(parts: Any, size: int) -> list[tuple[str, int]]:
    """The media types of a display and how many of its `size` bytes each has. Raises ProtocolError."""
    if not isinstance(parts, list) or len(parts) > 16:
        raise ProtocolError("a display of too many parts")
    found = []
    for part in parts:
        if not (
            isinstance(part, list) and len(part) == 2 and isinstance(part[0], str) and type(part[1]) is int
        ):
            raise ProtocolError("a part of a display that is none")
        if part[1] < 0 or len(part[0]) > 100:
            raise ProtocolError("a part of a display that cannot be")
        found.append((part[0], part[1]))
    if sum(length for _, length in found) != size:
        raise ProtocolError("parts that are not the whole of a display")
    return found
