"""The owner's end of a keeper: start one, and ask it for sessions and runs.

A keeper serves exactly one owner (the gateway, `belljar run`, the library) over a socket pair that the
owner makes. When the owner ends, however it ends, the socket closes and the keeper takes every session
down with it: nothing has to be cleaned up by name.

Requests are messages (see `frames`) with a number; answers carry the same number, and several may be
under way at once. While code runs, its outputs arrive as events of the run's request.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import anyio
import anyio.to_thread
from anyio.abc import SocketStream

from belljar import errors
from belljar.frames import Decoder, Message, ProtocolError, encode
from belljar.settings import Settings
from belljar.wire.execution import IdleMemory, Isolation, Layer, Limits, Outcome, Truncated, Usage

CHUNK_BYTES = 1024 * 1024
"""Of a file, in one message."""

STOP_SECONDS = 15
"""For a keeper to end its sessions and itself."""

_KEEPER_BODY_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Stream:
    """Text that the program wrote. Arrives in pieces, in the order in which it was written."""

    name: Literal["stdout", "stderr"]
    text: str


@dataclass(frozen=True)
class Display:
    """A rich value: an open figure (`display_data`) or the value of the last expression (`execute_result`)."""

    type: Literal["display_data", "execute_result"]
    data: dict[str, bytes]
    """By media type; text types are UTF-8."""


@dataclass(frozen=True)
class Raised:
    """The exception that ended the code, as the code's own interpreter describes it."""

    ename: str
    evalue: str
    traceback: list[str]


Event = Stream | Display | Raised


@dataclass(frozen=True)
class WorkFile:
    """A regular file that the run made or changed."""

    path: str
    """Relative to the working directory (or to the run's $OUTPUT_DIR), with `/`; undecodable bytes escaped."""
    size_bytes: int
    handle: str
    """For `Keeper.read`; good until the next run in the session, or its end."""


@dataclass(frozen=True)
class Run:
    """What to run. Each run has a new, empty $OUTPUT_DIR beside the working directory."""

    code: str
    timeout_seconds: float
    stdin: str = ""
    env: dict[str, str] = field(default_factory=dict)
    is_last: bool = False
    """The session ends after this run, so there is nothing to say on what it keeps."""


@dataclass(frozen=True)
class Opening:
    """A session that is to be made: see `Keeper.open`."""

    limits: Limits
    imports: Sequence[str] | None = None


@dataclass(frozen=True)
class Result:
    """How a run ended and what it left behind. `outputs` is in order and within the limits.

    `stderr` ends with the traceback, as a terminal would show it; `outputs` has it as `Raised` instead.
    """

    outcome: Outcome
    return_code: int
    stdout: str
    stderr: str
    truncated: Truncated
    outputs: list[Event]
    files: list[WorkFile]
    files_left_out: int
    """Files beyond the limit on how many one run gives back."""
    displays_left_out: int
    """Rich values beyond the limits on how many and how large one run may give back."""
    usage: Usage
    laps: dict[str, float]
    """Milliseconds for each step, also of making the session where it was made for this run."""
    is_closed: bool = False
    """The session has been closed, as was asked for."""


TierState = Literal["warming", "ready", "failed"]


@dataclass(frozen=True)
class Tier:
    """A zygote that sessions are forked from, by what it has imported (`Settings.preload`)."""

    name: str
    state: TierState
    why: str
    """Why it failed; or which of its modules could not be imported or used ahead, and why: code will see the same."""


@dataclass(frozen=True)
class Description:
    """The keeper's word on this machine."""

    isolation: Isolation
    layers: list[Layer]
    python: str
    """The runtime's version, as `3.11.7`."""
    packages: dict[str, str]
    """What the runtime has installed, by distribution name."""
    laps: dict[str, float]
    idle_memory: IdleMemory
    """How memory of idle sessions is given back."""


@dataclass(frozen=True)
class State:
    """What the keeper has at the moment."""

    pid: int
    """Of its process."""
    sessions: int
    """All that are not gone yet: those with a name, those that are parked, and those that are being made or ended."""
    parked: dict[str, int]
    """By the name of the tier."""
    generations: int
    """Chains of zygotes that live."""
    begun: int
    """Chains of zygotes that came up so far."""
    idle_offered: int
    """Idle sessions whose memory was offered to the kernel, each once for each time that it is idle."""
    idle_given_back_bytes: int
    idle_failed: int


class Keeper:
    """A started keeper. Made by `start`; every method raises KeeperLost once the process is gone."""

    def __init__(self, stream: SocketStream, decoder: Decoder, description: Description, pid: int) -> None:
        self._stream = stream
        self._decoder = decoder
        self._sending = anyio.Lock()
        self._numbers = itertools.count(1)
        self._requests: dict[int, _Request] = {}
        self.description = description
        self.pid = pid
        """Of the keeper's process."""
        self.lost = anyio.Event()
        self.tiers: list[Tier] = []
        """What is there to fork sessions from, as the keeper has last said."""
        self._told = anyio.Event()

    @property
    def is_lost(self) -> bool:
        """Whether the keeper has ended. Whoever wants to be woken by it waits for `lost`."""
        return self.lost.is_set()

    async def warm(self) -> None:
        """Wait until every tier is ready, or has failed. Raises KeeperLost."""
        while not self.tiers or any(tier.state == "warming" for tier in self.tiers):
            if self.is_lost:
                raise errors.KeeperLost("the keeper has ended; its sessions are gone")
            await self._told.wait()

    async def open(
        self, session: str, limits: Limits, imports: Sequence[str] | None = None
    ) -> dict[str, float]:
        """Make a session named `session` (any new id). Returns its laps in milliseconds.

        `imports` are the names that its code will import, as far as is known, or None where nothing is known: they
        choose the tier, and so what is imported already when the code begins.
        """
        head = {"session": session, "limits": limits.model_dump(), "imports": imports}
        answer = await self._ask(Message("open", head))
        laps: dict[str, float] = answer.head["laps"]
        return laps

    async def put(self, session: str, name: str, body: bytes | AsyncIterator[bytes]) -> None:
        """Write a file into the session's working directory, replacing one of that name when it is complete.

        `name` is one component: no `/`, no NUL, not `.` or `..`, at most 255 bytes. Raises InvalidRequest.
        """
        # One piece behind, so as to know which is the last; an empty file is one empty piece.
        is_first, held = True, b""
        async for piece in _pieces(body):
            if held:
                await self._ask(_put(session, name, held, is_first=is_first, is_last=False))
                is_first = False
            held = piece
        await self._ask(_put(session, name, held, is_first=is_first, is_last=True))

    async def execute(
        self,
        session: str,
        run: Run,
        on_event: Callable[[Event], None] | None = None,
        *,
        opening: Opening | None = None,
        files: Mapping[str, bytes] = MappingProxyType({}),
        closes: bool = False,
    ) -> Result:
        """Run code in the session; one run at a time in a session.

        In the same message, to save a way: with `opening` the session is made first, `files` are put (small ones, as
        by `put`), and with `closes` the session is closed when it has made no file that could be read.

        Cancelling interrupts the code (SIGINT, then SIGKILL after the grace time). Raises NotFound when there
        is no such session.
        """
        outputs = _Outputs(on_event)
        asked = {
            "code": run.code,
            "timeout_seconds": run.timeout_seconds,
            "stdin": run.stdin,
            "env": run.env,
            "is_last": run.is_last,
            "output_dir": secrets.token_hex(8),
        }
        request = json.dumps(asked).encode()
        head: dict[str, Any] = {"session": session, "size": len(request), "closes": closes}
        head["files"] = [[name, len(body)] for name, body in files.items()]
        if opening is not None:
            head["open"] = {"limits": opening.limits.model_dump(), "imports": opening.imports}
        answer = await self._ask(
            Message("execute", head, b"".join((request, *files.values()))),
            outputs.take,
            give_up=Message("interrupt", {"session": session}),
        )
        return outputs.result(json.loads(answer.body), is_closed=answer.head["is_closed"])

    async def read(self, session: str, file: WorkFile) -> AsyncIterator[bytes]:
        """The content of a file of the last result, in pieces; at most `file.size_bytes`."""
        offset = 0
        while offset < file.size_bytes:
            head = {"session": session, "handle": file.handle, "offset": offset, "length": CHUNK_BYTES}
            answer = await self._ask(Message("read", head))
            if not answer.body:
                return
            offset += len(answer.body)
            yield answer.body

    async def interrupt(self, session: str) -> None:
        """Have the run under way in the session, if any, end as `interrupted`."""
        await self._ask(Message("interrupt", {"session": session}))

    async def state(self) -> State:
        """What it has at the moment."""
        return State(self.pid, **json.loads((await self._ask(Message("state", {}))).body))

    async def close(self, session: str) -> None:
        """End the session and everything in it. Closing one that is gone does nothing."""
        await self._ask(Message("close", {"session": session}))

    async def _ask(
        self,
        message: Message,
        on_event: Callable[[Message], None] | None = None,
        give_up: Message | None = None,
    ) -> Message:
        number = next(self._numbers)
        request = _Request(on_event)
        self._requests[number] = request
        try:
            if self.is_lost:
                raise errors.KeeperLost("the keeper has ended; its sessions are gone")
            data = encode(message._replace(head={**message.head, "id": number}))
            # A message that was begun is finished, or the stream would be out of step for everybody.
            with anyio.CancelScope(shield=True):
                async with self._sending:
                    await self._stream.send(data)
            try:
                await request.done.wait()
            except BaseException:
                # Nobody waits for it any more. It is over when its own answer comes, and not before: until
                # then the session is taken.
                if give_up is not None and not self.is_lost:
                    with anyio.CancelScope(shield=True):
                        with contextlib.suppress(errors.BelljarError):
                            await self._ask(give_up)
                        await request.done.wait()
                raise
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise errors.KeeperLost("the keeper has ended; its sessions are gone") from error
        finally:
            del self._requests[number]
        if request.answer is None:
            raise errors.KeeperLost("the keeper has ended; its sessions are gone")
        if request.answer.kind == "error":
            raise _error(request.answer)
        return request.answer

    def _take(self, message: Message) -> None:
        request = self._requests.get(message.head["id"])
        if request is not None:
            request.take(message)
        elif message.kind == "tiers":
            self.tiers = [Tier(**tier) for tier in json.loads(message.body)]
            self._tell()

    def _tell(self) -> None:
        self._told.set()
        self._told = anyio.Event()

    async def _listen(self) -> None:
        """Hand every message to its request, until the keeper is gone."""
        try:
            while True:
                for message in self._decoder.feed(await self._stream.receive(262144)):
                    self._take(message)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ProtocolError):
            return
        finally:
            self.lost.set()
            self._tell()
            for request in self._requests.values():
                request.done.set()


class _Request:
    def __init__(self, on_event: Callable[[Message], None] | None) -> None:
        self._on_event = on_event
        self.done = anyio.Event()
        self.answer: Message | None = None

    def take(self, message: Message) -> None:
        if message.kind in ("answer", "error"):
            self.answer = message
            self.done.set()
        elif self._on_event is not None:
            self._on_event(message)


class _Outputs:
    """Folds a run's events into its result."""

    def __init__(self, on_event: Callable[[Event], None] | None) -> None:
        self._on_event = on_event
        self._outputs: list[Event] = []
        self._open: tuple[Literal["stdout", "stderr"], list[str]] | None = None
        """The stream that is being written, in pieces: joined when something else follows."""
        self._texts: dict[str, list[str]] = {"stdout": [], "stderr": []}

    def take(self, message: Message) -> None:
        if message.kind == "stream":
            self._stream(message.head["name"], message.body.decode())
        else:
            at, data = 0, {}
            for mime, size in message.head["parts"]:
                data[mime] = message.body[at : at + size]
                at += size
            self._add(Display(message.head["type"], data))

    def _stream(self, name: Literal["stdout", "stderr"], text: str) -> None:
        self._texts[name].append(text)
        if self._open is None or self._open[0] != name:
            self._close()
            self._open = (name, [])
        self._open[1].append(text)
        self._tell(Stream(name, text))

    def _close(self) -> None:
        if self._open is not None:
            name, pieces = self._open
            self._outputs.append(Stream(name, "".join(pieces)))
            self._open = None

    def _add(self, event: Event) -> None:
        self._close()
        self._outputs.append(event)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)

    def result(self, facts: dict[str, Any], *, is_closed: bool) -> Result:
        stderr = "".join(self._texts["stderr"])
        if facts["raised"] is not None:
            raised = Raised(**facts["raised"])
            self._add(raised)
            stderr += "".join(f"{line}\n" for line in raised.traceback)
        if left_out := _left_out(facts["files_left_out"], facts["displays_left_out"]):
            facts["outcome"]["message"] += f" {left_out}"
            stderr += f"{left_out}\n"
        self._close()
        return Result(
            outcome=Outcome.model_validate(facts["outcome"]),
            return_code=facts["return_code"],
            stdout="".join(self._texts["stdout"]),
            stderr=stderr,
            truncated=Truncated.model_validate(facts["truncated"]),
            outputs=self._outputs,
            files=[WorkFile(**file) for file in facts["files"]],
            files_left_out=facts["files_left_out"],
            displays_left_out=facts["displays_left_out"],
            usage=Usage.model_validate(facts["usage"]),
            laps=facts["laps"],
            is_closed=is_closed,
        )


def _left_out(files: int, displays: int) -> str:
    """What the caller would otherwise not know to be missing."""
    what = [f"{count} {name}" for count, name in ((files, "files"), (displays, "figures or values")) if count]
    return f"Left out, over the limits on what one run gives back: {' and '.join(what)}." if what else ""


def _put(session: str, name: str, piece: bytes, *, is_first: bool, is_last: bool) -> Message:
    return Message("put", {"session": session, "name": name, "is_first": is_first, "is_last": is_last}, piece)


async def _pieces(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        for start in range(0, len(body), CHUNK_BYTES):
            yield body[start : start + CHUNK_BYTES]
    else:
        async for piece in body:
            if piece:
                yield piece


def _error(message: Message) -> errors.BelljarError:
    kind = getattr(errors, message.head["error"], errors.BelljarError)
    assert issubclass(kind, errors.BelljarError)
    return kind(message.head["message"])


@asynccontextmanager
async def start(settings: Settings) -> AsyncIterator[Keeper]:
    """Start a keeper and wait until its zygote is ready; the block's end ends it and all its sessions.

    Raises JailUnavailable, with what is missing and the command that provides it, when this machine does not
    reach `settings.require`.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        # Its own process group: a terminal's Ctrl-C is for us to answer, and ours to pass on or not.
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "belljar.keeper", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            process_group=0,
        )
    try:
        async with await SocketStream.from_socket(ours) as stream:
            decoder = Decoder(_KEEPER_BODY_BYTES)
            description, more = await _configure(stream, decoder, settings)
            keeper = Keeper(stream, decoder, description, process.pid)
            for message in more:
                keeper._take(message)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keeper._listen)
                try:
                    yield keeper
                finally:
                    tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The listener raises nothing: what came out is the caller's own, as it was raised.
        raise only(group) from None
    finally:
        ours.close()
        # The closed socket is the order to end; it takes its sessions with it.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_wait, process)


def only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error of a task group in which one task failed; else the group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _configure(
    stream: SocketStream, decoder: Decoder, settings: Settings
) -> tuple[Description, list[Message]]:
    """Tell the keeper what it is for. Returns its word on the machine, and what it has said since."""
    config = {
        "runtime": str(settings.runtime),
        "preload": settings.preload,
        "zygote_sessions": settings.zygote_sessions,
        "zygote_seconds": settings.zygote_seconds,
        "parked": settings.parked,
        "limits": settings.limits().model_dump(),
        "uid_base": settings.uid_base,
        "grace_seconds": settings.grace_seconds,
        "require": settings.require,
        "idle_memory_seconds": settings.idle_memory_seconds,
    }
    try:
        await stream.send(encode(Message("configure", {}, json.dumps(config).encode())))
        while True:
            messages = list(decoder.feed(await stream.receive()))
            if messages:
                first, *more = messages
                if first.kind != "ready":
                    raise _error(first)
                return _described(json.loads(first.body)), more
    except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
        raise errors.JailUnavailable("the keeper ended while it started; standard error says why") from error


def _described(facts: dict[str, Any]) -> Description:
    return Description(
        isolation=Isolation.model_validate(facts["isolation"]),
        layers=[Layer.model_validate(layer) for layer in facts["layers"]],
        python=facts["python"],
        packages=facts["packages"],
        laps=facts["laps"],
        idle_memory=IdleMemory.model_validate(facts["idle_memory"]),
    )
