"""A run under way: what it has given back so far, within limits, and what has to be done about it."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio

from belljar.frames import Message, ProtocolError
from belljar.keeper.capture import Capture
from belljar.keeper.waiting import Flag
from belljar.records import (
    MAX_CHART_BYTES,
    MAX_RUN_DISPLAY_BYTES,
    MAX_RUN_DISPLAYS,
    MAX_RUN_TEXT_BYTES,
    Limits,
)

MAX_METADATA_BYTES = 16 * 1024
"""Of one display."""
MAX_RUN_MESSAGES = 10_000
"""Past this the guest only wants to keep the keeper busy."""
MAX_RUN_BYTES = 64 * 1024 * 1024
"""Of messages of one run, read or not. What its calls print comes beside."""
MAX_ASKS = 1000
"""Of the caller's tools, in one run."""
MAX_ASK_BYTES = 1024 * 1024
_ASK_DEPTH = 64
MAX_CALL_BYTES = 8 * 1024 * 1024
"""Of what a call says of itself when it is over: a file that was viewed."""
_NEAR, _NEARER = 0.75, 0.06
"""The share of its memory from which on a run is asked where it is, and how much more it has when it is asked again."""
_MUCH, _MORE = 0.25, 0.12
"""The same of what takes most of it: earlier, since it answers between two steps only, and the last may take all."""
MAX_LARGEST_BYTES = 4000
"""Of what it says of that."""
MAX_CHARTS = 1000
"""Whose facts come with files, in one run."""
MAX_CHARTS_BYTES = 1024 * 1024
"""Of these facts, in all."""
_CALL_MESSAGES_PER_SECOND = 100
RUNAWAY_FACTOR = 64
"""A program that has written this many times its output limit is stopped."""

Emit = Callable[[Message], Awaitable[None]]


class Budget:
    """How much a guest may say on its control socket."""

    def __init__(self, most_bytes: int = MAX_RUN_BYTES, most_messages: int = MAX_RUN_MESSAGES) -> None:
        self._messages = most_messages
        self._bytes = most_bytes

    def received(self, size: int) -> None:
        """So many more bytes of messages. Raises ProtocolError past the most."""
        self._bytes -= size
        if self._bytes < 0:
            raise ProtocolError("too many bytes")

    def count(self) -> None:
        """One more message. Raises ProtocolError past the most."""
        self._messages -= 1
        if self._messages < 0:
            raise ProtocolError("too many messages")


class Call:
    """A shell command or an edit in a run: what it has printed, and what the guest says of its end."""

    def __init__(self, limits: Limits) -> None:
        self.captures = {name: Capture(limits.output_bytes) for name in ("stdout", "stderr")}
        self.return_code: int | None = None
        """None where it did not end by itself."""
        self.body = b""


class Run:
    """A run under way. The first of `stop` and `finished` that is set decides how it ended."""

    def __init__(
        self,
        number: int,
        emit: Emit,
        limits: Limits,
        *,
        calls: int = 0,
        timeout_seconds: float = 0,
        request_id: str = "",
    ) -> None:
        self.number = number
        self.request_id = request_id
        """Of the API's request that it belongs to; none where nobody's request has begun it."""
        self.emit = emit
        self.calls = [Call(limits) for _ in range(calls)]
        printed = calls * 2 * RUNAWAY_FACTOR * limits.output_bytes
        self.budget = Budget(
            MAX_RUN_BYTES + calls * MAX_CALL_BYTES + printed,
            MAX_RUN_MESSAGES + int(calls * timeout_seconds * _CALL_MESSAGES_PER_SECOND) + printed // 4096,
        )
        self.captures = {name: Capture(limits.output_bytes) for name in ("stdout", "stderr")}
        self._runaway_bytes = RUNAWAY_FACTOR * limits.output_bytes
        self._untold: deque[Message] = deque()
        """What was read and not emitted yet: no more than `captures` let through, and of that what one look reads."""
        self.stop: str | None = None
        self.stuck: dict[str, Any] | None = None
        """Where the code was that did not heed the interrupt at its time-out, as an exception is told."""
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
        self.clock: anyio.CancelScope | None = None
        """Ends the run at its time-out."""
        self._asks: set[int] = set()
        """Of the caller's tools, that have no reply yet. Until then the clock stands still."""
        self._asks_left = 0
        self._tools: frozenset[str] = frozenset()
        self._seconds_left = 0.0
        self.charts: dict[int, bytes] = {}
        """What the guest says that files show, by inode."""
        self._chart_bytes = 0
        self._displays = 0
        self._display_bytes = 0
        self._text_bytes = 0
        self.displays_left_out = 0
        self.peak_bytes = 0
        self.largest: str | None = None
        """What the guest says takes most of its memory."""
        self._asked_bytes: dict[float, int] = {}
        self.peak_pids = 0
        self.peak_locks = 0
        self.first_result_at: float | None = None
        """On the clock of time.perf_counter: when the run first gave something back."""

    def has_much(self, used_bytes: int, limit_bytes: int) -> bool:
        """Whether it is time to ask what takes most of its memory: again, where it has taken more meanwhile."""
        return self._is_time(_MUCH, _MORE, used_bytes, limit_bytes)

    def comes_near(self, used_bytes: int, limit_bytes: int) -> bool:
        """Whether its memory is nearly used up, and more so than when this was said last."""
        return self._is_time(_NEAR, _NEARER, used_bytes, limit_bytes)

    def _is_time(self, first: float, step: float, used_bytes: int, limit_bytes: int) -> bool:
        if used_bytes < max(first * limit_bytes, self._asked_bytes.get(first, 0) + step * limit_bytes):
            return False
        self._asked_bytes[first] = used_bytes
        return True

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

    def said(self, message: Message) -> None:
        """Output of one of its calls, to be told next. Raises ProtocolError where it is none."""
        number, call = self._call(message)
        capture = call.captures.get(str(message.head.get("name")))
        if capture is None:
            raise ProtocolError("output on no stream")
        self.heard()
        text = capture.feed(message.body)
        if capture.total_bytes > self._runaway_bytes:
            self.ask_to_stop("output_exceeded")
        if text:
            head = {"name": message.head["name"], "call": number}
            self._untold.append(Message("stream", head, text.encode()))

    def called(self, message: Message) -> None:
        """The guest's word that a call is over. Raises ProtocolError where it cannot be."""
        _, call = self._call(message)
        code = message.head.get("return_code")
        if call.return_code is not None or type(code) is not int or not 0 <= code <= 255:
            raise ProtocolError("no end of a call")
        if len(message.body) > MAX_CALL_BYTES:
            raise ProtocolError("an end of a call that is too long")
        self.heard()
        if self.stop is None:  # else it was ended, and how says nothing of the call
            call.return_code, call.body = code, message.body

    def chart(self, message: Message) -> None:
        """The guest's word on the chart in a file. Raises ProtocolError where it is of none."""
        inode = message.head.get("inode")
        if type(inode) is not int or inode < 0:
            raise ProtocolError("a chart in no file")
        self._chart_bytes += len(message.body)  # also what is said again
        is_within = self._chart_bytes <= MAX_CHARTS_BYTES and len(self.charts) < MAX_CHARTS
        if is_within and len(message.body) <= MAX_CHART_BYTES:
            self.charts[inode] = message.body

    def hear_of_largest(self, message: Message) -> None:
        """What the guest says takes most of its memory. Raises ProtocolError where it says too much."""
        if len(message.body) > MAX_LARGEST_BYTES:
            raise ProtocolError("too much of what takes most of the memory")
        self.largest = message.body.decode("utf-8", "replace")

    def chart_in(self, inode: int) -> str | None:
        """The guest's word on the chart in a file, which is for the owner to judge. Of several names of one file the
        first has it: each with its own copy, a thousand would make an answer that nobody bounds."""
        body = self.charts.pop(inode, None)
        return None if body is None else body.decode("utf-8", "replace")

    def _call(self, message: Message) -> tuple[int, Call]:
        number = message.head.get("call")
        if type(number) is not int or not 0 <= number < len(self.calls):
            raise ProtocolError("a call that nobody has made")
        return number, self.calls[number]

    def most_output_bytes(self) -> int:
        """The most that was written on one stream."""
        all_captures = (self.captures, *(call.captures for call in self.calls))
        return max(capture.total_bytes for captures in all_captures for capture in captures.values())

    def offer_tools(self, names: Iterable[str]) -> None:
        """The code may ask these of the caller's tools, and none that the caller keeps from it."""
        self._asks_left = MAX_ASKS
        self._tools = frozenset(names)

    def asks(self, message: Message) -> None:
        """The code asks the caller's tools, to be told next. Raises ProtocolError where that cannot be."""
        if len(message.body) > MAX_ASK_BYTES:
            raise ProtocolError("too much is asked")
        try:
            asked = [_question(ask) for ask in json.loads(message.body.decode())]
            # Half a character could not be written where this goes.
            body = json.dumps(asked, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ProtocolError("a question that is none") from error
        numbers = {ask["ask"] for ask in asked}
        self._asks_left -= len(asked)
        if self._asks_left < 0 or len(numbers) < len(asked) or not numbers or numbers & self._asks:
            raise ProtocolError("questions that may not be asked")
        if not self._tools.issuperset(ask["name"] for ask in asked):
            raise ProtocolError("a tool that was not offered")
        self.heard()
        if not self._asks and self.clock is not None:
            self._seconds_left = self.clock.deadline - anyio.current_time()
            self.clock.deadline = math.inf
        self._asks |= numbers
        self._untold.append(Message("ask", {}, body))

    def replied(self, ask: int) -> bool:
        """A question has its reply; False where it is none that waits for one."""
        if ask not in self._asks:
            return False
        self._asks.discard(ask)
        if not self._asks and self.clock is not None:
            self.clock.deadline = anyio.current_time() + self._seconds_left
        return True

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
        for number, call in enumerate(self.calls):
            for name, capture in call.captures.items():
                if rest := capture.finish():
                    await self.emit(Message("stream", {"name": name, "call": number}, rest.encode()))
            if call.body:
                await self.emit(Message("called", {"call": number}, call.body))

    async def display(self, message: Message) -> None:
        """Emit a rich value. Raises ProtocolError where it is none."""
        kind, parts = message.head.get("type"), message.head.get("parts")
        if kind not in ("display_data", "execute_result", "update_display_data", "clear_output"):
            raise ProtocolError("a display that is none")
        sizes = _parts(parts, len(message.body))
        more = _more(message.head)
        # What comes in the place of another, or is none, takes no place.
        self._displays += kind in ("display_data", "execute_result")
        self._display_bytes += len(message.body)
        self._text_bytes += sum(size for mime, size in sizes if _is_text(mime))
        if (
            self._displays > MAX_RUN_DISPLAYS
            or self._display_bytes > MAX_RUN_DISPLAY_BYTES
            or self._text_bytes > MAX_RUN_TEXT_BYTES
        ):
            self.displays_left_out += 1
        else:
            await self.emit(Message("display", {"type": kind, "parts": parts, **more}, message.body))


def _question(ask: dict[str, Any]) -> dict[str, Any]:
    """What the code asks a tool. Raises ValueError, KeyError or TypeError where it is none."""
    number, name, given = ask["ask"], ask["name"], ask["input"]
    if type(number) is not int or not 0 <= number < 2**31 or not isinstance(name, str) or len(name) > 200:
        raise ValueError("no name, or no number")
    if not isinstance(given, dict) or not _is_within(given, _ASK_DEPTH):
        raise ValueError("no input")
    return {"ask": number, "name": name, "input": given}


def _is_within(value: Any, depth: int) -> bool:
    """Whether JSON is nested so deep at most."""
    if not isinstance(value, dict | list):
        return True
    return depth > 0 and all(
        _is_within(part, depth - 1) for part in (value.values() if isinstance(value, dict) else value)
    )


def _is_text(mime: str) -> bool:
    return not mime.startswith("image/") or mime.startswith("image/svg")


def _more(head: dict[str, Any]) -> dict[str, Any]:
    """What a display has besides its parts. Raises ProtocolError."""
    metadata, display_id = head.get("metadata", {}), head.get("display_id", "")
    if not isinstance(metadata, dict) or not _is_within(metadata, _ASK_DEPTH):
        raise ProtocolError("metadata that is none")
    # As we write it: a number may be longer than it was.
    if len(json.dumps(metadata, ensure_ascii=False).encode("utf-8", "replace")) > MAX_METADATA_BYTES:
        raise ProtocolError("too much metadata")
    if not isinstance(display_id, str) or len(display_id) > 100:
        raise ProtocolError("no id of a display")
    more: dict[str, Any] = {"metadata": metadata} if metadata else {}
    return more | ({"display_id": display_id} if display_id else {})


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
