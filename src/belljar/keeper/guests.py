"""A guest as the keeper holds it: its descriptors, and what comes out of them.

Everything read here was written by the user's code, or may have been. It is passed on within limits, or ends
the run; nothing else follows from it.

A guest has no task: the loop calls `_listen` and `_drain` when there is something to read. What has to wait for the
owner is done by a task of its own, and what it came from is not read meanwhile: a slow owner slows the guest.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import select
import signal
import socket
import struct
import termios
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import anyio

from belljar.frames import Decoder, Message, ProtocolError, encode
from belljar.keeper import outside, stuck
from belljar.keeper.runs import Budget, Run
from belljar.keeper.waiting import Flag
from belljar.kernel import LARGEST_SIGNAL, STACK_SIGNAL

MAX_DISPLAY_BYTES = 16 * 1024 * 1024
"""Of one display, and so of what the keeper holds of it."""
PIPE_BYTES = 262144
MAX_FINISHED_BYTES = 1024 * 1024
"""An exception and what there is to know about it; six bytes a character, as JSON has some."""
_MAX_FLUSH_BYTES = 4 * 1024 * 1024
"""More than was in a pipe when it began, which the machine bounds; a child may go on writing for ever."""
_GATHER_SECONDS = 0.005
_MOMENT_SECONDS = 0.002
_LOOK_SECONDS = 0.0005
"""For looks at whether it has stopped, with the processor left to others in between."""
_OWN_LOOKS = 10
"""And then, on a busy machine where it has to wait for its turn, one in each `_PATIENT_LOOK_SECONDS`: before it is
stopped, and after."""
_PATIENT_LOOKS = 50
_PATIENT_LOOK_SECONDS = 0.001
_CRUMB_BYTES = 4096
_INT = struct.Struct("i")
_STACK_LOOKS = 40
"""At whether it has written where it is, one in each `_GATHER_SECONDS`."""


class Guest:
    """The forked process. From `serve` on it is read from, until `close`, which lets go of its descriptors."""

    def __init__(self, number: int, pidfd: int, control: socket.socket, out: int, err: int) -> None:
        self.number = number
        self.pid = outside.pid_of(pidfd)
        self.stat = outside.Stat(self.pid)
        self.ready = Flag()
        self.exited = Flag()
        self.exit_status: int | None = None
        self.cpu_seconds = 0.0
        """In all its life; known when it has ended."""
        self.laps: dict[str, float] = {}
        self.run: Run | None = None
        self.complaint = ""
        """What it wrote before it was locked in."""
        self._broke_protocol = False
        self._is_closed = False
        self._is_sending = False
        """It has not read at once all that we had for it: perhaps somebody waits for that."""
        self._sending = anyio.Lock(fast_acquire=True)
        self._aside: bytearray | None = None
        """What comes on stderr, while it is asked where it is."""
        self._place = ""
        """Where it was when it was asked last in its run, in its own words."""
        self._stops_again = False
        """It was stopped before it stopped itself, perhaps, and does so when it goes on."""
        self._pidfd = pidfd
        self._control = control
        self._pipes = {"stdout": out, "stderr": err}
        """In the order in which they are read, stderr comes first: see `_take_both`."""
        self._decoder = Decoder(MAX_DISPLAY_BYTES)
        self._idle = Budget()
        """For what it says between runs."""
        self._watched: set[int] = set()
        """The descriptors that the loop waits for."""
        self._tasks: set[asyncio.Task[object]] = set()
        self._first_look: asyncio.TimerHandle
        self._on_fault: Callable[[Exception], None]
        self._loop: asyncio.AbstractEventLoop
        for fd in (out, err, control.fileno()):
            os.set_blocking(fd, False)

    def serve(self, on_fault: Callable[[Exception], None]) -> None:
        """Read what it says from now on, and what it writes while it has a run, so that it never blocks on us for long.

        `on_fault` is told what a guest made its readers stumble over.
        """
        self._loop = asyncio.get_running_loop()
        self._on_fault = on_fault
        self._hear_more()

    def begin(self, run: Run) -> None:
        """What comes from now on is of `run`, until `leave`."""
        self.run = run
        self._place = ""
        # What a run of a moment writes is read once, at its end.
        self._first_look = self._loop.call_later(_MOMENT_SECONDS, self._drain_all)

    def ignore(self) -> None:
        """Read nothing more: it is to be killed, and what it says is of no interest."""
        for fd in list(self._watched):
            self._leave(fd)

    def leave(self) -> None:
        """Its run is over, and nothing in the session runs."""
        self.run = None
        self._first_look.cancel()
        for fd in self._pipes.values():
            if fd in self._watched:
                self._leave(fd)

    def close(self) -> None:
        """Stop reading, and let go. The guest is dead, or about to be."""
        if not self._is_closed:
            self._is_closed = True
            self.ignore()
            if self._is_sending:
                anyio.notify_closing(self._control)
            self._control.close()
            self.stat.close()
            for fd in (self._pidfd, *self._pipes.values()):
                os.close(fd)

    async def stop_alone(self) -> bool:
        """Have it stopped where it is the only process of its session; False where that does not come true.

        It stops itself at the end of a run (see `guest.cell`), and nothing in the session can have it go on. One that
        does not is told to.
        """
        if await self._stops(_OWN_LOOKS):
            return True
        self._stops_again = True
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGSTOP)
            return await self._stops(_PATIENT_LOOKS)
        return False

    async def _stops(self, patient_looks: int) -> bool:
        """Whether it is stopped, or will be soon."""
        until = time.perf_counter() + _LOOK_SECONDS
        while time.perf_counter() < until:
            if self.stat.is_stopped():
                return True
            os.sched_yield()  # it may have to run on our processor to be stopped
        for _ in range(patient_looks):
            await asyncio.sleep(_PATIENT_LOOK_SECONDS)
            if self.exited.is_set():
                return False  # and may have left a child behind
            if self.stat.is_stopped():
                return True
        return False

    def go_on(self) -> None:
        """Let it go on, where it was stopped alone."""
        with contextlib.suppress(OSError):  # it has ended: its run will say so
            signal.pidfd_send_signal(self._pidfd, signal.SIGCONT)

    def see_it_begin(self, run: Run) -> None:
        """Let it go on again where it stops only now for the end of its last run, and has been given `run` already.

        After these looks the run is watched, and with that as well (`watch.until_over`).
        """
        if self._stops_again:
            self._stops_again = False
            self._look_whether_it_begins(run, _PATIENT_LOOKS)

    def _look_whether_it_begins(self, run: Run, looks: int) -> None:
        if looks and self.run is run and not (run.has_begun or run.done.is_set() or run.stop):
            if self.stat.is_stopped():
                self.go_on()
            self._loop.call_later(_PATIENT_LOOK_SECONDS, self._look_whether_it_begins, run, looks - 1)

    def ask_for_largest(self) -> None:
        """Have its interpreter say, between two of its steps, what takes most of its memory."""
        if outside.hears(self.pid, LARGEST_SIGNAL):
            with contextlib.suppress(OSError):  # it has ended
                signal.pidfd_send_signal(self._pidfd, LARGEST_SIGNAL)

    def ask_for_place(self) -> None:
        """Have its interpreter say where it is at the moment, for `place`. Nobody waits for it."""
        if self._aside is None:
            self._begin(self.stack())

    async def stack(self) -> str:
        """Where its interpreter is at the moment, in its own words; nothing where it does not say so soon."""
        self._end_asking()
        if not outside.hears(self.pid, STACK_SIGNAL):
            return ""  # it has become another program, which would end by it, or does not want to hear now
        self.flush()
        self._aside = aside = bytearray()
        with contextlib.suppress(OSError):  # it has ended
            signal.pidfd_send_signal(self._pidfd, STACK_SIGNAL)
        try:
            seen = 0
            for _ in range(_STACK_LOOKS):
                await asyncio.sleep(_GATHER_SECONDS)
                if self._aside is not aside:
                    break  # its run has ended
                self._take("stderr")
                if self.exited.is_set() or len(aside) > stuck.MAX_BYTES:
                    break
                if b"(most recent call first):\n" in aside and len(aside) == seen:
                    break  # and nothing has come since
                seen = len(aside)
        finally:
            stack = self._end_asking() if self._aside is aside else ""
        return stack

    def _end_asking(self) -> str:
        """What it has said of where it is since it was asked. What it wrote besides meanwhile is the run's."""
        if self._aside is None:
            return ""
        stack, rest = stuck.apart(bytes(self._aside))
        self._place = stack or self._place
        self._aside = None
        if rest and self.run is not None:
            self.run.text("stderr", rest)
        return stack

    def place(self) -> str:
        """Where its interpreter was when it said so last in this run: once its memory is full, it says nothing more."""
        self._end_asking()
        return self._place

    def end(self, status: int, cpu_seconds: float) -> None:
        """The zygote has reaped it."""
        self.exit_status = status
        self.cpu_seconds = cpu_seconds
        self.exited.set()
        self.ready.set()
        if self.run is not None:
            self.run.end()

    async def send(self, data: bytes, *, is_stopped: bool = False) -> None:
        """Hand bytes to the guest, as fast as it reads; returns early when it is gone. One that `is_stopped` alone goes
        on when it has them, or as many as it can have: it wakes up once."""
        view = memoryview(data)
        async with self._sending:  # what it reads slowly, nothing else comes in between
            while view and not self.exited.is_set():
                is_full = False
                try:
                    view = view[self._control.send(view) :]
                except BlockingIOError:
                    is_full = True
                except OSError:
                    return  # its exit status says how it went
                if is_stopped:
                    is_stopped = False
                    self.go_on()
                if is_full:
                    self._is_sending = True
                    with contextlib.suppress(anyio.ClosedResourceError):
                        await anyio.wait_writable(self._control)

    @property
    def is_spent(self) -> bool:
        """Whether it cannot be given code any more."""
        has_ended = self.exited.is_set() or self._is_closed or _is_readable(self._pidfd)
        return has_ended or self._broke_protocol

    async def dead(self, seconds: float) -> None:
        """Wait until the kernel has ended it, and at most so long; the zygote's word on it may come later."""
        if await self.exited.within(1) and _is_readable(self._pidfd):
            return  # as it usually comes: the zygote has reaped it
        with anyio.move_on_after(seconds):
            await anyio.wait_readable(self._pidfd)
            await self.exited.within(1)

    async def hear_out(self) -> None:
        """Wait until the messages have been read that it left when it ended."""
        for _ in range(100):  # a child may go on writing for ever
            if self._is_closed or not _is_readable(self._control.fileno()):
                return
            await asyncio.sleep(_GATHER_SECONDS)

    def flush(self) -> None:
        """Take in what was written before now: it comes before what the guest says next."""
        left = _MAX_FLUSH_BYTES
        while left > 0 and (taken := self._take_both()):
            left -= taken

    # -- reading -------------------------------------------------------------------------------------------

    def _watch(self, fd: int, read: Callable[..., None], *arguments: object) -> None:
        if not self._is_closed:
            self._watched.add(fd)
            self._loop.add_reader(fd, self._guarded, read, *arguments)

    def _leave(self, fd: int) -> None:
        self._watched.discard(fd)
        self._loop.remove_reader(fd)

    def _guarded(self, read: Callable[..., None], *arguments: object) -> None:
        """Whatever a guest makes one of its readers stumble over ends its session, and no other."""
        try:
            read(*arguments)
        except Exception as error:  # noqa: BLE001 - see above
            self._on_fault(error)

    def _begin(self, work: Coroutine[Any, Any, object]) -> None:
        """Do what takes as long as the owner does: to the end, though the guest is closed meanwhile."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._on_fault(error)

    def _hear_more(self) -> None:
        self._watch(self._control.fileno(), self._listen)

    def _listen(self) -> None:
        """There is something on the control socket, or its end."""
        try:
            data = self._control.recv(PIPE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # reset: it is gone
        if not data:
            self._leave(self._control.fileno())
            return
        with self._in_protocol():
            (self.run.budget if self.run is not None else self._idle).received(len(data))
            messages = self._decoder.feed(data)
            first = next(messages, None)
            if first is not None:
                messages = itertools.chain((first,), messages)
                if (display := self._until_display(messages)) is not None:
                    self._leave(self._control.fileno())
                    self._begin(self._show(*display, messages))
            elif len(data) < _CRUMB_BYTES:
                # Who writes byte by byte is not to wake us for each.
                self._leave(self._control.fileno())
                self._loop.call_later(_GATHER_SECONDS, self._hear_more)

    @contextlib.contextmanager
    def _in_protocol(self) -> Iterator[None]:
        """A block that nothing is read after, should what was read be no message of ours."""
        try:
            yield
        except ProtocolError:
            self._broke_protocol = True
            if not self._is_closed:
                self._leave(self._control.fileno())
            if self.run is not None:
                self.run.ask_to_stop("protocol")

    def _until_display(self, messages: Iterator[Message]) -> tuple[Run, Message] | None:
        """Take in messages up to one that takes time: what the owner is to be told of. None where there is none."""
        for message in messages:
            run = self.run
            if message.kind == "ready" and not self.ready.is_set():
                self.laps = dict(message.head["laps"])  # no code of the user's has run yet
                self.ready.set()
            elif run is None or run.done.is_set():
                self._idle.count()  # a thread that outlived its run: there is nobody to show this to
                if run is not None:
                    run.hear_of_start(message)  # the word that it has ended came first
            elif message.kind == "started":
                run.budget.count()
                run.hear_of_start(message)
            elif message.kind in ("display", "ask", "settle"):
                run.budget.count()
                if message.kind != "settle":
                    run.heard()
                return run, message
            elif message.kind in ("said", "called"):
                run.budget.count()
                (run.said if message.kind == "said" else run.called)(message)
                if run.has_untold:
                    return run, message
            elif message.kind == "chart":
                run.budget.count()
                run.chart(message)
            elif message.kind == "largest":
                run.budget.count()
                run.hear_of_largest(message)
            elif message.kind == "finished":
                self._hear_of_end(run, message)
            else:
                raise ProtocolError(f"no message of the kind {message.kind!r}")
        return None

    def _hear_of_end(self, run: Run, message: Message) -> None:
        if message.head.get("run") != run.number:
            run.budget.count()  # the late end of an earlier run
            return
        if len(message.body) > MAX_FINISHED_BYTES:
            raise ProtocolError("an end that is too long")
        run.heard()
        self.flush()
        self._end_asking()
        run.finished = {**message.head, "body": message.body}
        run.end()

    async def _show(self, run: Run, display: Message, further: Iterator[Message]) -> None:
        """Tell the owner, take in what came with it, and only then read on."""
        with self._in_protocol():
            while not self._is_closed:
                self.flush()
                if display.kind == "ask":
                    run.asks(display)
                await run.tell()
                if display.kind == "display":
                    await run.display(display)
                if display.kind != "ask":
                    # The guest waits for this before it goes on to print.
                    number = display.head.get("number")
                    await self.send(
                        encode(Message("shown", {"number": number if type(number) is int else 0}))
                    )
                following = self._until_display(further)
                if following is None:
                    self._hear_more()
                    return
                run, display = following

    def _drain_all(self) -> None:
        for name in self._pipes:
            self._drain_more(name)

    def _drain_more(self, name: str) -> None:
        if self.run is not None:
            self._watch(self._pipes[name], self._drain, name)

    def _drain(self, name: str) -> None:
        """There is something in a pipe, or its end."""
        fd = self._pipes[name]
        taken = self._take_both() if name == "stdout" else self._take(name)
        self._leave(fd)
        if not taken and _is_at_end(fd):
            return
        if self.run is not None and self.run.has_untold:
            self._begin(self._tell(self.run, name))
        else:
            self._drain_later(name)

    async def _tell(self, run: Run, name: str) -> None:
        await run.tell()
        self._drain_later(name)

    def _drain_later(self, name: str) -> None:
        # A program that writes byte by byte is not to wake us, and the owner, for each.
        self._loop.call_later(_GATHER_SECONDS, self._drain_more, name)

    def _take_both(self) -> int:
        """Read what is in both pipes now; how many bytes that is.

        Whoever writes to stderr sees to it that nothing is left in the pipe of stdout (`guest.streams`). So what is in
        stderr's was written before what is in stdout's at the same moment.
        """
        if self._is_closed:
            return 0
        pending = _INT.unpack(fcntl.ioctl(self._pipes["stdout"], termios.FIONREAD, bytes(_INT.size)))[0]
        taken = self._take("stderr")
        return taken + self._take("stdout", min(pending, PIPE_BYTES)) if pending else taken

    def _take(self, name: str, most: int = PIPE_BYTES) -> int:
        """Read what is there now; how many bytes that is."""
        if self._is_closed:
            return 0
        try:
            data = os.read(self._pipes[name], most)
        except BlockingIOError:
            return 0
        if self._aside is not None and name == "stderr":
            self._aside += data
        elif self.run is not None and data:
            self.run.text(name, data)
        elif not self.ready.is_set():
            self.complaint += data[:1000].decode("utf-8", "replace")  # no code of the user's has run yet
        return len(data)


def _is_readable(fd: int) -> bool:
    """Of a descriptor of a process: whether it has ended."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _is_at_end(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return any(event & select.POLLHUP and not event & select.POLLIN for _, event in poll.poll(0))
