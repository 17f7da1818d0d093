"""A guest as the keeper holds it: its descriptors, what comes out of them, and the run that it is shown to.

Everything read here was written by the user's code, or may have been. It is passed on within limits, or ends
the run; nothing else follows from it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from belljar.frames import Decoder, Message, ProtocolError, encode
from belljar.keeper import outside
from belljar.keeper.capture import Capture
from belljar.wire.execution import Limits

MAX_DISPLAY_BYTES = 16 * 1024 * 1024
"""Of one display, and so of what the keeper holds of it."""
MAX_RUN_DISPLAY_BYTES = 32 * 1024 * 1024
MAX_RUN_TEXT_BYTES = 8 * 1024 * 1024
"""Of what is no picture: as JSON it can become six times as long."""
MAX_RUN_DISPLAYS = 256
MAX_RUN_MESSAGES = 10_000
"""Past this the guest only wants to keep the keeper busy."""
RUNAWAY_FACTOR = 64
"""A program that has written this many times its output limit is stopped."""
PIPE_BYTES = 262144
MAX_FINISHED_BYTES = 256 * 1024
MAX_RUN_BYTES = 64 * 1024 * 1024
"""Of messages of one run, read or not."""
_GATHER_SECONDS = 0.005
_LOOKS = 5
"""At whether it has stopped."""
_LOOK_SECONDS = 20e-6
"""Between these, and what the kernel adds to it."""
_CRUMB_BYTES = 4096

Emit = Callable[[Message], Awaitable[None]]


class Run:
    """A run under way. The first of `stop` and `finished` that is set decides how it ended."""

    def __init__(self, number: int, emit: Emit, limits: Limits) -> None:
        self.number = number
        self.emit = emit
        self.captures = {name: Capture(limits.output_bytes) for name in ("stdout", "stderr")}
        self._runaway_bytes = RUNAWAY_FACTOR * limits.output_bytes
        self.stop: str | None = None
        self.finished: dict[str, Any] | None = None
        self.attention = anyio.Event()
        """Something has to be done about the run: it is over, or it has to be stopped."""
        self.started = anyio.Event()
        """SIGINT would reach the code: before, the guest ignores it."""
        self.has_begun = False
        """The guest has said that it begins with the code."""
        self.done = anyio.Event()
        self.settled = anyio.Event()
        """Done, or not to be waited for any longer."""
        self.is_over = False
        """Everything in the session has been stopped or killed: nothing of the run goes on."""
        self._messages = 0
        self._received_bytes = 0
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

    async def text(self, name: str, data: bytes) -> None:
        """Output on `name`."""
        self.heard()
        capture = self.captures[name]
        text = capture.feed(data)
        if capture.total_bytes > self._runaway_bytes:
            self.ask_to_stop("output_exceeded")
        if text:
            await self.emit(Message("stream", {"name": name}, text.encode()))

    async def display(self, message: Message) -> None:
        """A rich value."""
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

    def received(self, size: int) -> None:
        """So many more bytes of messages. Raises ProtocolError past MAX_RUN_BYTES."""
        self._received_bytes += size
        if self._received_bytes > MAX_RUN_BYTES:
            raise ProtocolError("too many bytes")

    def count(self) -> None:
        """One more message. Raises ProtocolError past MAX_RUN_MESSAGES."""
        self._messages += 1
        if self._messages > MAX_RUN_MESSAGES:
            raise ProtocolError("too many messages")


class Guest:
    """The forked process. `serve` reads from it until `close`, and then lets go of its descriptors."""

    def __init__(self, number: int, pidfd: int, control: socket.socket, out: int, err: int) -> None:
        self.number = number
        self.pid = outside.pid_of(pidfd)
        self.ready = anyio.Event()
        self.exited = anyio.Event()
        self.exit_status: int | None = None
        self.cpu_seconds = 0.0
        """In all its life; known when it has ended."""
        self.laps: dict[str, float] = {}
        self.run: Run | None = None
        self.complaint = ""
        """What it wrote before it was locked in."""
        self._broke_protocol = False
        self._is_closed = False
        self._pidfd = pidfd
        self._control = control
        self._pipes = {"stdout": out, "stderr": err}
        self._decoder = Decoder(MAX_DISPLAY_BYTES)
        self._idle = Run(0, _nobody, Limits())
        self._scope = anyio.CancelScope()
        for fd in (out, err, control.fileno()):
            os.set_blocking(fd, False)

    async def serve(self) -> None:
        """Read everything that the guest writes, all the time, so that it never blocks on us for long."""
        try:
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._listen)
                    for name in self._pipes:
                        tasks.start_soon(self._drain, name)
                    await anyio.sleep_forever()  # what is left in the pipes of a dead guest is still read
        finally:
            self._is_closed = True
            self._control.close()
            os.close(self._pidfd)
            for fd in self._pipes.values():
                os.close(fd)

    def stop_alone(self) -> bool:
        """Stop it where it is the only process of its session; False where that does not come true at once."""
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGSTOP)
            for _ in range(_LOOKS):
                if outside.is_stopped(self.pid):
                    return True
                time.sleep(_LOOK_SECONDS)  # not as a task: it may have to run on our processor to be stopped
        return False

    def go_on(self) -> None:
        """Let it go on, where `stop_alone` has stopped it."""
        with contextlib.suppress(OSError):  # it has ended: its run will say so
            signal.pidfd_send_signal(self._pidfd, signal.SIGCONT)

    def close(self) -> None:
        """Stop reading. The guest is dead, or about to be."""
        self._scope.cancel()

    def end(self, status: int, cpu_seconds: float) -> None:
        """The zygote has reaped it."""
        self.exit_status = status
        self.cpu_seconds = cpu_seconds
        self.exited.set()
        self.ready.set()
        if self.run is not None:
            self.run.end()

    async def send(self, data: bytes) -> None:
        """Hand bytes to the guest, as fast as it reads; returns early when it is gone."""
        view = memoryview(data)
        while view and not self.exited.is_set():
            try:
                view = view[self._control.send(view) :]
            except BlockingIOError:
                await anyio.wait_writable(self._control)
            except OSError:
                return  # its exit status says how it went

    @property
    def is_spent(self) -> bool:
        """Whether it cannot be given code any more."""
        has_ended = self.exited.is_set() or self._is_closed or _is_readable(self._pidfd)
        return has_ended or self._broke_protocol

    async def dead(self, seconds: float) -> None:
        """Wait until the kernel has ended it, and at most so long; the zygote's word on it may come later."""
        with anyio.move_on_after(seconds):
            await anyio.wait_readable(self._pidfd)
            with anyio.move_on_after(1):
                await self.exited.wait()

    async def hear_out(self) -> None:
        """Wait until the messages have been read that it left when it ended."""
        for _ in range(100):  # a child may go on writing for ever
            if self._is_closed or not _is_readable(self._control.fileno()):
                return
            await anyio.sleep(_GATHER_SECONDS)

    async def flush(self) -> None:
        """Take in what was written before now: it comes before what the guest says next."""
        for name in self._pipes:
            for _ in range(64):  # a child may go on writing for ever
                if not await self._take(name):
                    break

    async def _listen(self) -> None:
        try:
            while True:
                await anyio.wait_readable(self._control)
                try:
                    data = self._control.recv(PIPE_BYTES)
                except BlockingIOError:
                    continue
                if not data:
                    return
                (self.run or self._idle).received(len(data))
                has_message = False
                for message in self._decoder.feed(data):
                    has_message = True
                    await self._heard(message)
                if not has_message and len(data) < _CRUMB_BYTES:
                    await anyio.sleep(_GATHER_SECONDS)  # who writes byte by byte is not to wake us for each
        except OSError:
            return  # reset: it is gone
        except ProtocolError:
            self._broke_protocol = True
            if self.run is not None:
                self.run.ask_to_stop("protocol")

    async def _heard(self, message: Message) -> None:
        run = self.run
        if message.kind == "ready" and not self.ready.is_set():
            self.laps = dict(message.head["laps"])  # no code of the user's has run yet
            self.ready.set()
        elif run is None or run.done.is_set():
            self._idle.count()  # a thread that outlived its run: there is nobody to show this to
            if run is not None:
                run.hear_of_start(message)  # the word that it has ended came first
        elif message.kind == "started":
            run.count()
            run.hear_of_start(message)
        elif message.kind == "display":
            run.count()
            run.heard()
            await self.flush()
            await run.display(message)
            # The guest waits for this before it goes on to print.
            number = message.head.get("number")
            await self.send(encode(Message("shown", {"number": number if type(number) is int else 0})))
        elif message.kind == "finished" and message.head.get("run") != run.number:
            run.count()  # the late end of an earlier run
        elif message.kind == "finished":
            if len(message.body) > MAX_FINISHED_BYTES:
                raise ProtocolError("an end that is too long")
            run.heard()
            await self.flush()
            run.finished = {**message.head, "body": message.body}
            run.end()
        else:
            raise ProtocolError(f"no message of the kind {message.kind!r}")

    async def _drain(self, name: str) -> None:
        fd = self._pipes[name]
        while True:
            await anyio.wait_readable(fd)
            if not await self._take(name) and _is_at_end(fd):
                return
            # A program that writes byte by byte is not to wake us, and the owner, for each.
            await anyio.sleep(_GATHER_SECONDS)

    async def _take(self, name: str) -> bool:
        """Read what is there now; False when that is nothing."""
        try:
            data = os.read(self._pipes[name], PIPE_BYTES)
        except BlockingIOError:
            return False
        if self.run is not None and data:
            await self.run.text(name, data)
        elif not self.ready.is_set():
            self.complaint += data[:1000].decode("utf-8", "replace")  # no code of the user's has run yet
        return bool(data)


def _is_readable(fd: int) -> bool:
    """Of a descriptor of a process: whether it has ended."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _is_at_end(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return any(event & select.POLLHUP and not event & select.POLLIN for _, event in poll.poll(0))


async def _nobody(message: Message) -> None:
    """Where what is written between runs goes."""


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
