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
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import anyio

from belljar import errors, orders, results, states
from belljar.builds import FOLDER
from belljar.frames import Message
from belljar.line import Line, open_line
from belljar.logged import REQUEST_ID
from belljar.process import KeeperProcess
from belljar.records import Limits
from belljar.settings import Settings
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


class Keeper:
    """A started keeper. Made by `start`; every method raises KeeperLost once the process is gone."""

    _line: Line
    description: states.Description

    def __init__(self, pid: int) -> None:
        self._numbers = itertools.count(_CONFIGURE)
        self._requests: dict[int, _Request] = {}
        self.pid = pid
        """Of the keeper's process."""
        self.lost = anyio.Event()
        self.tiers: list[states.Tier] = []
        """What is there to fork sessions of the default runtime from, as the keeper has last said."""
        self.runtimes: dict[str, states.RuntimeState] = {}
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
        asked = orders.Opening(limits, imports, runtime).asked()
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

    async def files(self, session: str) -> states.Files:
        """What lies in the session's working directory. No code may run there meanwhile."""
        answer = await self._ask(Message("files", {"session": session}))
        return states.Files([_lying(file) for file in json.loads(answer.body)], answer.head["is_whole"])

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
        run: orders.Run,
        on_event: Callable[[results.Event], None] | None = None,
        *,
        on_asks: Callable[[results.Asks], None] | None = None,
        opening: orders.Opening | None = None,
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
        request = orders.of_run(run, opening, files)
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

    async def reply(self, session: str, ask: int, status: orders.ReplyStatus, text: str) -> None:
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

    async def state(self) -> states.State:
        """What it has at the moment."""
        told = json.loads((await self._ask(Message("state", {}))).body)
        return states.State(self.pid, **told | {"runtimes": states.runtimes(told["runtimes"])})

    async def make_ahead(self) -> None:
        """Have it import libraries and make sessions before they are asked for, where it was started without."""
        await self._ask(Message("ahead", {}))

    def kill(self) -> None:
        """End it at once, and with it its sessions."""
        os.kill(self.pid, signal.SIGKILL)  # its pid is nobody else's before the block of `start` has ended

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
            self.tiers, self.runtimes = states.tiers(told["tiers"]), states.runtimes(told["runtimes"])
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

    async def _configure(self, line: Line, settings: Settings, *, ahead: bool) -> None:
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
            "ahead": ahead,
            "limits": asdict(settings.limits()),
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
        self.description = states.described(json.loads(answer.body))


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
async def start(
    settings: Settings, *, ahead: bool = True, process: KeeperProcess | None = None
) -> AsyncIterator[Keeper]:
    """Start a keeper and wait until its zygote is ready; the block's end ends it and all its sessions.

    Without `ahead` it has the first tier only, and parks no sessions, until it is asked to `make_ahead`. `process` is
    one that was begun for it.

    Raises JailUnavailable, with what is missing and the command that provides it, when this machine does not
    reach `settings.require`.
    """
    process = process or KeeperProcess()
    process.is_taken = True
    keeper = Keeper(process.process.pid)
    try:
        line = await open_line(process.socket, _KEEPER_BODY_BYTES, keeper._take, keeper._end)
        try:
            await keeper._configure(line, settings, ahead=ahead)
            yield keeper
        finally:
            line.abort()
    finally:
        process.socket.close()
        # The closed socket is the order to end; it takes its sessions with it.
        with anyio.CancelScope(shield=True):
            await _ended(process.process)


def starting_with(process: KeeperProcess) -> Callable[[Settings], AbstractAsyncContextManager[Keeper]]:
    """What starts keepers, and of them the first one in that process."""
    begun = [process]
    return lambda settings: start(settings, process=begun.pop() if begun else None)


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
