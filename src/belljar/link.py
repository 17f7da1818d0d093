"""The owner's end of a keeper: start one, and ask it for sessions and runs.

A keeper serves exactly one owner (the gateway, `belljar run`, the library) over a socket pair that the
owner makes. When the owner ends, however it ends, the socket closes and the keeper takes every session
down with it: nothing has to be cleaned up by name.

Requests are messages (see `frames`) with a number, and the id of the API's request that they belong to; answers
carry the same number, and several may be under way at once. While code runs, its outputs arrive as events of
the run's request.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import anyio

from belljar import errors, results
from belljar.builds import FOLDER
from belljar.frames import MAX_RUN_BYTES, Message
from belljar.line import Line, open_line
from belljar.logged import REQUEST_ID
from belljar.settings import Settings
from belljar.wire.charts import ChartFormat, ChartsRequest
from belljar.wire.execution import IdleMemory, Isolation, Layer, Limits
from belljar.wire.resources import ContainerUse

CHUNK_BYTES = 1024 * 1024
"""Of a file, in one message."""

STOP_SECONDS = 15
"""For a keeper to end its sessions and itself."""

_KEEPER_BODY_BYTES = 256 * 1024 * 1024
_CONFIGURE = 0
"""The number of the first request."""
_LAST = frozenset({"answer", "error", "ready", "failed"})
"""Messages after which no more comes for their request."""


@dataclass(frozen=True)
class Command:
    """A shell command. It has a new, empty $OUTPUT_DIR of its own, and all that it starts ends with it."""

    text: str


@dataclass(frozen=True)
class Edit:
    """A look at a file, or a change of one: see `guest.editor`."""

    input: dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """A tool of the caller's that code may call, as an async function of that name."""

    name: str
    description: str


@dataclass(frozen=True)
class Drawing:
    """A chart of an earlier run in the session, to be drawn again; pixels are of width and height."""

    chart_id: str
    format: ChartFormat
    dpi: float | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Run:
    """What to run: Python code, calls that run side by side, or the drawing of a chart. Each run has a new, empty
    $OUTPUT_DIR beside the working directory."""

    code: str | None
    timeout_seconds: float
    stdin: str = ""
    env: dict[str, str] = field(default_factory=dict)
    argv: Sequence[str] = ()
    """What the code has in `sys.argv`; as it is, where there is nothing."""
    is_last: bool = False
    """The session ends after this run, so there is nothing to say on what it keeps."""
    calls: Sequence[Command | Edit] = ()
    """Where there is no code."""
    tools: Sequence[Tool] = ()
    """Where there is code, and somebody who hears of what it asks."""
    charts: ChartsRequest | None = None
    """How the code's charts are drawn, where it is not as usual."""
    drawing: Drawing | None = None
    """Where there is neither code nor calls."""


@dataclass(frozen=True)
class Files:
    """What lies in a working directory."""

    files: list[results.Lying]
    is_whole: bool
    """Else there are more than one look takes in."""


@dataclass(frozen=True)
class Opening:
    """A session that is to be made: see `Keeper.open`."""

    limits: Limits
    imports: Sequence[str] | None = None
    runtime: str | None = None
    """The name of one that was built (see `builds`); None for the default one."""

    def asked(self) -> dict[str, Any]:
        """As the keeper is told."""
        return {"limits": self.limits.model_dump(), "imports": self.imports, "runtime": self.runtime}


ReplyStatus = Literal["answered", "failed", "timed_out"]
"""Of a tool's answer: what the code gets is the text, a RuntimeError, or a TimeoutError."""

TierState = Literal["warming", "ready", "failed"]


@dataclass(frozen=True)
class Tier:
    """A zygote that sessions are forked from, by what it has imported (`Settings.preload`)."""

    name: str
    state: TierState
    why: str
    """Why it failed; or which of its modules could not be imported or used ahead, and why: code will see the same."""


@dataclass(frozen=True)
class RuntimeState:
    """A runtime that was built, and that the keeper has in memory or has tried to."""

    state: TierState
    why: str
    """Why it failed."""
    tiers: list[Tier]
    sessions: int
    """Those that are in use; those that are parked are not among them."""


@dataclass(frozen=True)
class Description:
    """The keeper's word on this machine."""

    isolation: Isolation
    layers: list[Layer]
    python: str
    """The default runtime's version, as `3.11.7`."""
    packages: dict[str, str]
    """What the default runtime has installed, by distribution name."""
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
    runtimes: dict[str, RuntimeState]
    """By name. One that is not there is at rest: it comes up when a session asks for it."""


class Keeper:
    """A started keeper. Made by `start`; every method raises KeeperLost once the process is gone."""

    _line: Line
    description: Description

    def __init__(self, pid: int) -> None:
        self._numbers = itertools.count(_CONFIGURE)
        self._requests: dict[int, _Request] = {}
        self.pid = pid
        """Of the keeper's process."""
        self.lost = anyio.Event()
        self.tiers: list[Tier] = []
        """What is there to fork sessions of the default runtime from, as the keeper has last said."""
        self.runtimes: dict[str, RuntimeState] = {}
        """Those that were built and are up, by name; their sessions as they were then."""
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
        self,
        session: str,
        limits: Limits,
        imports: Sequence[str] | None = None,
        runtime: str | None = None,
    ) -> dict[str, float]:
        """Make a session named `session` (any new id). Returns its laps in milliseconds.

        `imports` are the names that its code will import, as far as is known, or None where nothing is known: they
        choose the tier, and so what is imported already when the code begins. `runtime` is as in `Opening`; raises
        RuntimeUnavailable where that does not come up.
        """
        asked = Opening(limits, imports, runtime).asked()
        answer = await self._ask(Message("open", {"session": session}, json.dumps(asked).encode()))
        laps: dict[str, float] = answer.head["laps"]
        return laps

    async def put(self, session: str, path: str, body: bytes | AsyncIterator[bytes]) -> None:
        """Write a file into the session's working directory, replacing one of that path when it is complete.

        `path` is relative, with `/`, and directories on the way are made. Raises InvalidRequest for one that is none,
        or where there is no room; where `body` raises or this is cancelled, nothing is changed.
        """
        # One piece behind, so as to know which is the last; an empty file is one empty piece.
        is_first, held = True, b""
        try:
            async for piece in _pieces(body):
                if held:
                    await self._ask(_put(session, path, held, is_first=is_first, is_last=False))
                    is_first = False
                held = piece
            await self._ask(_put(session, path, held, is_first=is_first, is_last=True))
        except BaseException:
            if not is_first:
                with anyio.CancelScope(shield=True):
                    await self._answer_to(
                        Message("put", {"session": session, "path": path, "is_given_up": True})
                    )
            raise

    async def files(self, session: str) -> Files:
        """What lies in the session's working directory. No code may run there meanwhile."""
        answer = await self._ask(Message("files", {"session": session}))
        return Files([_lying(file) for file in json.loads(answer.body)], answer.head["is_whole"])

    async def use(self, session: str) -> ContainerUse:
        """What the session holds now."""
        answer = await self._ask(Message("use", {"session": session}))
        return ContainerUse.model_validate_json(answer.body)

    async def find(self, session: str, path: str) -> results.Lying:
        """One of these files. Raises NoSuchFile where there is none, InvalidRequest for what is no path."""
        answer = await self._ask(Message("find", {"session": session, "path": path}))
        return _lying(json.loads(answer.body))

    async def remove(self, session: str, path: str) -> None:
        """Delete one of these files. Raises NoSuchFile, InvalidRequest."""
        await self._ask(Message("remove", {"session": session, "path": path}))

    async def execute(
        self,
        session: str,
        run: Run,
        on_event: Callable[[results.Event], None] | None = None,
        *,
        on_asks: Callable[[results.Asks], None] | None = None,
        opening: Opening | None = None,
        files: Mapping[str, bytes] = MappingProxyType({}),
        closes: bool = False,
    ) -> results.Result:
        """Run code in the session; one run at a time in a session.

        In the same message, to save a way: with `opening` the session is made first, `files` are put (small ones, as
        by `put`), and with `closes` the session is closed when it has made no file that could be read.

        Cancelling interrupts the code (SIGINT, then SIGKILL after the grace time). Raises NotFound when there
        is no such session, and RequestTooLarge, with nothing sent, for what the guest would not take.
        """
        outputs = results.Outputs(on_event, on_asks, len(run.calls))
        # In the body, for all that a program chooses may be longer than a head: names of files, and of imports.
        asked: dict[str, Any] = {
            "code": run.code,
            "timeout_seconds": run.timeout_seconds,
            "stdin": run.stdin,
            "env": run.env,
            "argv": list(run.argv),
            "is_last": run.is_last,
            "output_dir": secrets.token_hex(8),
            "calls": [_call(call) for call in run.calls],
            "tools": [{"name": tool.name, "description": tool.description} for tool in run.tools],
            "charts": run.charts.model_dump() if run.charts is not None else None,
            "chart": asdict(run.drawing) if run.drawing is not None else None,
            "files": [[name, len(body)] for name, body in files.items()],
        }
        if opening is not None:
            asked["open"] = opening.asked()
        request = json.dumps(asked).encode()
        if len(request) > MAX_RUN_BYTES:
            raise too_large()
        head = {"session": session, "size": len(request), "closes": closes}
        answer = await self._ask(
            Message("execute", head, b"".join((request, *files.values()))),
            outputs.take,
            give_up=Message("interrupt", {"session": session}),
        )
        return outputs.result(json.loads(answer.body), is_closed=answer.head["is_closed"])

    async def read(
        self, session: str, file: results.WorkFile | results.Lying, offset: int = 0
    ) -> AsyncIterator[bytes]:
        """The content of a file of the last result, or of one that was found, in pieces; at most `file.size_bytes`.

        Raises InvalidRequest where it is not there any more, or was changed.
        """
        while offset < file.size_bytes:
            head = {"session": session, "handle": file.handle, "offset": offset, "length": CHUNK_BYTES}
            answer = await self._ask(Message("read", head))
            if not answer.body:
                return
            offset += len(answer.body)
            yield answer.body

    async def reply(self, session: str, ask: int, status: ReplyStatus, text: str) -> None:
        """Answer what the session's run has asked. To what it does not wait for any more this is nothing."""
        head = {"session": session, "ask": ask, "status": status}
        await self._ask(Message("reply", head, text.encode("utf-8", "replace")))

    async def pack(self, session: str) -> AsyncIterator[bytes]:
        """An archive of the session's files, in pieces: the working directory and /tmp.

        A run before the last piece gives it up. Raises NotKept where there can be none; the session then goes on.
        """
        is_first = True
        while piece := (await self._ask(Message("pack", {"session": session, "is_first": is_first}))).body:
            is_first = False
            yield piece

    async def unpack(self, session: str, archive: AsyncIterator[bytes]) -> None:
        """Put the files of an archive into a session in which no code has run. Raises NotKept; it is then of no use."""
        async for piece in archive:
            await self._ask(Message("unpack", {"session": session, "is_last": False}, piece))
        await self._ask(Message("unpack", {"session": session, "is_last": True}))

    async def interrupt(self, session: str) -> None:
        """Have the run under way in the session, if any, end as `interrupted`."""
        await self._ask(Message("interrupt", {"session": session}))

    async def state(self) -> State:
        """What it has at the moment."""
        told = json.loads((await self._ask(Message("state", {}))).body)
        return State(self.pid, **told | {"runtimes": _runtimes(told["runtimes"])})

    async def close(self, session: str) -> None:
        """End the session and everything in it. Closing one that is gone does nothing."""
        await self._ask(Message("close", {"session": session}))

    async def _ask(
        self,
        message: Message,
        on_event: Callable[[Message], None] | None = None,
        give_up: Message | None = None,
    ) -> Message:
        answer = await self._answer_to(message, on_event, give_up)
        if answer is None:
            raise errors.KeeperLost("the keeper has ended; its sessions are gone")
        if answer.kind == "error":
            raise _error(answer)
        return answer

    async def _answer_to(
        self,
        message: Message,
        on_event: Callable[[Message], None] | None = None,
        give_up: Message | None = None,
    ) -> Message | None:
        """None where the keeper has ended. Being cancelled waits for the answer to `give_up`, if there is one."""
        if self.is_lost:
            return None
        number = next(self._numbers)
        self._requests[number] = request = _Request(on_event)
        try:
            head = {**message.head, "id": number}
            if request_id := REQUEST_ID.get():
                head["request_id"] = request_id
            await self._line.send(message._replace(head=head))
            try:
                await request.wait()
            except BaseException:
                # Nobody waits for it any more. It is over when its own answer comes, and not before: until
                # then the session is taken.
                if give_up is not None:
                    with anyio.CancelScope(shield=True):
                        await self._answer_to(give_up)
                        await request.wait_for_end()
                raise
        finally:
            del self._requests[number]
        return request.answer

    def _take(self, message: Message) -> None:
        if message.kind == "tiers":
            told = json.loads(message.body)
            self.tiers, self.runtimes = _tiers(told["tiers"]), _runtimes(told["runtimes"])
            self._tell()
            return
        # What is said of the keeper itself, at its start, answers the first request.
        request = self._requests.get(message.head.get("id", _CONFIGURE))
        if request is not None:
            request.take(message)

    def _tell(self) -> None:
        self._told.set()
        self._told = anyio.Event()

    def _end(self) -> None:
        self.lost.set()
        self._tell()
        for request in self._requests.values():
            request.end()

    async def _configure(self, line: Line, settings: Settings) -> None:
        """Tell the keeper what it is for, and hear its word on the machine."""
        self._line = line
        config = {
            "runtime": str(settings.runtime),
            "runtimes": str(settings.state_dir / FOLDER),
            "runtime_idle_seconds": settings.runtime_idle_seconds,
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
        answer = await self._answer_to(Message("configure", {}, json.dumps(config).encode()))
        if answer is None:
            raise errors.JailUnavailable("the keeper ended while it started; standard error says why")
        if answer.kind != "ready":
            raise _error(answer)
        self.description = _described(json.loads(answer.body))


class _Request:
    def __init__(self, on_event: Callable[[Message], None] | None) -> None:
        self._on_event = on_event
        self._woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._failure: Exception | None = None
        self._is_over = False
        self.answer: Message | None = None

    async def wait(self) -> None:
        """Until it is answered, or the keeper has ended. Raises what the caller's own hearing of an event raised."""
        await self._woken
        if self._failure is not None:
            raise self._failure

    async def wait_for_end(self) -> None:
        """The same for somebody whose first wait was given up."""
        self._on_event = None
        if not self._is_over:
            self._woken = asyncio.get_running_loop().create_future()
            await self._woken

    def take(self, message: Message) -> None:
        if message.kind in _LAST:
            self.answer = message
            self.end()
        elif self._on_event is not None:
            try:
                self._on_event(message)
            except Exception as error:  # noqa: BLE001 - raised where it is waited for; other requests go on
                self._failure = error
                self._wake()

    def end(self) -> None:
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)


def too_large() -> errors.RequestTooLarge:
    """For a run over `MAX_RUN_BYTES`."""
    return errors.RequestTooLarge(
        f"The program, or its input, is too large: for all that goes with a run, {MAX_RUN_BYTES:,} bytes of JSON are"
        " allowed. Put what is large into a file of the working directory."
    )


def _call(call: Command | Edit) -> dict[str, Any]:
    output_dir = secrets.token_hex(8)
    if isinstance(call, Command):
        return {"kind": "bash", "command": call.text, "output_dir": output_dir}
    return {"kind": "edit", "input": call.input, "output_dir": output_dir}


def _put(session: str, path: str, piece: bytes, *, is_first: bool, is_last: bool) -> Message:
    head = {"session": session, "path": path, "is_first": is_first, "is_last": is_last, "is_given_up": False}
    return Message("put", head, piece)


def _lying(file: dict[str, Any]) -> results.Lying:
    changed_at = file.pop("changed_ns") // 1000
    return results.Lying(**file, changed_at=changed_at)


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
            stdout=subprocess.DEVNULL,  # ours may be a protocol's
            pass_fds=[theirs.fileno()],
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            process_group=0,
        )
    keeper = Keeper(process.pid)
    try:
        line = await open_line(ours, _KEEPER_BODY_BYTES, keeper._take, keeper._end)
        try:
            await keeper._configure(line, settings)
            yield keeper
        finally:
            line.abort()
    finally:
        ours.close()
        # The closed socket is the order to end; it takes its sessions with it.
        with anyio.CancelScope(shield=True):
            await _ended(process)


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Without a thread: the interpreter makes none any more when a sandbox that was not closed ends with it."""
    fd = os.pidfd_open(process.pid)
    try:
        with anyio.move_on_after(STOP_SECONDS) as given:
            await anyio.wait_readable(fd)
        if given.cancelled_caught:
            process.kill()
        process.wait()
    finally:
        os.close(fd)


def _tiers(told: list[dict[str, Any]]) -> list[Tier]:
    return [Tier(**tier) for tier in told]


def _runtimes(told: dict[str, dict[str, Any]]) -> dict[str, RuntimeState]:
    return {
        name: RuntimeState(facts["state"], facts["why"], _tiers(facts["tiers"]), facts["sessions"])
        for name, facts in told.items()
    }


def _described(facts: dict[str, Any]) -> Description:
    return Description(
        isolation=Isolation.model_validate(facts["isolation"]),
        layers=[Layer.model_validate(layer) for layer in facts["layers"]],
        python=facts["python"],
        packages=facts["packages"],
        laps=facts["laps"],
        idle_memory=IdleMemory.model_validate(facts["idle_memory"]),
    )
