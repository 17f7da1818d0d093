"""Serves the owner: each request in a task of its own, each session closed with its owner."""

from __future__ import annotations

import asyncio
import contextlib
import json
import platform
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import anyio
from anyio.abc import TaskGroup

from belljar import inherited, kernel
from belljar.builds import Build, Runtimes
from belljar.errors import BelljarError, InvalidRequest, JailUnavailable, KeeperLost, NotFound, SessionLost
from belljar.frames import Message
from belljar.keeper import cgroups, idle, layers, outside, workshop
from belljar.keeper.boxes import Site
from belljar.keeper.idle import Idle
from belljar.keeper.inside import Runtime, built_runtime, inspect_runtime
from belljar.keeper.journal import log, milliseconds
from belljar.keeper.making import Maker
from belljar.keeper.sessions import Session
from belljar.keeper.waiting import Flag
from belljar.keeper.workshop import Workshop
from belljar.keeper.workshops import LOOK_SECONDS, Workshops
from belljar.line import Line, open_line
from belljar.logged import words_of
from belljar.records import IdleMemory, Layer, Level, Limits

MAX_REQUEST_BYTES = 256 * 1024 * 1024
_AFTER_SECONDS = 0.003
_MAX_ERROR_CHARACTERS = 4000
"""Of what an error says: it may quote its caller, and has to fit into the head of a message."""
_LEAST_FILES = 256
"""Open ones. A session takes some seven."""
_LEAST_FILE_BYTES = 64 * 1024 * 1024
"""For the programs and archives that we write ourselves."""

Operation = Callable[["Supervisor", Message], Awaitable[tuple[dict[str, Any], bytes]]]


class Supervisor:
    """One keeper's life. `config` is the owner's: runtime, preload, parked and their limits, uid_base,
    grace_seconds, require, runtimes (where those that were built lie) and how long one is held that is not used, and
    whether anything is made ahead from the start."""

    def __init__(self, line: Line, gone: anyio.Event, config: dict[str, Any], tasks: TaskGroup) -> None:
        self._line = line
        self._gone = gone
        """The owner has ended."""
        self._config = config
        self._tasks = tasks
        self._sessions: dict[str, Session] = {}
        self._afterwards: dict[int, Callable[[], None]] = {}
        """What is to be done when a request has been answered, by its number."""
        self._begun_for: set[str] = set()
        """Names of sessions that are being made ready, for as long as somebody wants them."""
        self._parked_limits = Limits(**config["limits"])
        self._idle = Idle(config["idle_memory_seconds"], self._sessions.values)
        self._changed = Flag()
        self._ahead = Flag()
        if config["ahead"]:
            self._ahead.set()
        self._running = 0
        """Runs under way."""
        self._work: TaskGroup
        """Requests, parking and ends of sessions. The readers of guests live in `tasks`, and longer."""
        self._maker: Maker
        self._shared: workshop.Shared
        self._workshop: Workshop
        """Of the default runtime."""
        self._others: Workshops

    async def serve(self) -> None:
        """Make a place for sessions, tell the owner what this machine gives, and answer until the owner is gone."""
        if not kernel.Landlock.abi():
            raise JailUnavailable(
                f"this kernel ({platform.release()}) has no Landlock: boot with lsm=landlock,… (Linux 5.13 or newer)"
            )
        _refuse_small_limits(self._parked_limits)
        # Each waits for other programs: all at once.
        loop = asyncio.get_running_loop()
        inspecting = loop.run_in_executor(None, inspect_runtime, Path(self._config["runtime"]))
        tree, no_cgroups = cgroups.find()
        try:
            runtime = await inspecting
            versions = loop.run_in_executor(None, runtime.ask_for_versions)
            self._maker = Maker(tree, self._config["grace_seconds"], self._tasks)
            self._shared = workshop.Shared(
                self._config,
                self._maker,
                tree,
                self._tasks,
                self._parked_limits,
                lambda: self._running == 0,
                self._tiers_changed,
                self._ahead,
            )
            async with workshop.opened(self._shared, runtime, self._config["preload"]) as (
                first,
                no_namespaces,
            ):
                self._workshop = first
                facts = layers.Facts(
                    no_namespaces,
                    first.site.has_own_uids,
                    "" if tree is not None else "; ".join(no_cgroups),
                    outside.no_zone_counts(),
                    kernel.Landlock.abi(),
                    platform.machine(),
                )
                level, found = layers.level(facts), layers.found(facts)
                if layers.LEVELS.index(level) < layers.LEVELS.index(self._config["require"]):
                    raise JailUnavailable(
                        f"this machine reaches the level {level}; missing: {'; '.join(layers.missing(found))}. "
                        "`belljar doctor` says what would mend it"
                    )
                try:
                    laps = await first.start()
                    idle_memory = idle.found(self._config["idle_memory_seconds"], tree)
                    description = _description(runtime, await versions, laps, level, found, idle_memory)
                    # What is under way ends in here, half-made sessions included: before their cgroups' parent.
                    async with anyio.create_task_group() as self._work:
                        self._others = Workshops(
                            Runtimes(Path(self._config["runtimes"])),
                            self._built_workshop,
                            self._work,
                            self._config["runtime_idle_seconds"],
                            self._tiers_changed,
                        )
                        self._line.take = self._take
                        await self._line.send(Message("ready", {}, description))
                        if idle_memory.way != "none":
                            self._work.start_soon(self._idle.run)
                        self._work.start_soon(first.run)
                        self._work.start_soon(self._tell_of_tiers)
                        self._work.start_soon(self._end_with_site, first.site)
                        await self._gone.wait()
                        self._work.cancel_scope.cancel()
                finally:
                    self._line.take = _ignore
                    with anyio.CancelScope(shield=True):
                        await first.close()
        finally:
            if tree is not None:
                tree.close()

    @asynccontextmanager
    async def _built_workshop(self, build: Build) -> AsyncIterator[Workshop]:
        """See `workshops.Open`."""
        runtime = built_runtime(build)
        async with workshop.opened(self._shared, runtime, build.facts.tiers) as (opened, _):
            try:
                await opened.start()
                async with anyio.create_task_group() as work:
                    work.start_soon(opened.run)
                    yield opened
                    work.cancel_scope.cancel()
            finally:
                with anyio.CancelScope(shield=True):
                    await opened.close()

    def _take(self, message: Message) -> None:
        self._work.start_soon(self._handle, message)

    async def _handle(self, message: Message) -> None:
        number = message.head["id"]
        try:
            head, body = await self._OPERATIONS[message.kind](self, message)
            answer = Message("answer", {"id": number, **head}, body)
        except BelljarError as error:
            answer = _refusal(number, type(error).__name__, str(error))
        except Exception as error:  # noqa: BLE001 - the boundary of one request: the others go on
            log(message.kind, error, message.head.get("request_id", ""))
            answer = _refusal(number, SessionLost.__name__, f"the keeper failed: {words_of(error)}")
        await self._line.send(answer)
        # Only now: the end of a session, and a new one in its place, are nothing that its caller waits for, and would
        # only take the processors from those who pass the answer on.
        if afterwards := self._afterwards.pop(number, None):
            asyncio.get_running_loop().call_later(_AFTER_SECONDS, afterwards)

    def _tiers_changed(self) -> None:
        self._changed.set()

    async def _tell_of_tiers(self) -> None:
        while True:
            self._changed = Flag()
            told = {
                "tiers": [asdict(tier) for tier in self._workshop.zygotes.tiers],
                "runtimes": self._others.states(),
            }
            await self._line.send(Message("tiers", {}, json.dumps(told).encode()))
            await self._changed.wait()

    async def _end_with_site(self, site: Site) -> None:
        """No session can be made any more once the default runtime's boxer is gone, which the kernel may kill for want
        of memory: whoever has started us starts another keeper."""
        while True:
            await anyio.sleep(LOOK_SECONDS)
            if site.is_lost:
                log("the keeper ends", KeeperLost("the boxer has ended"))
                self._work.cancel_scope.cancel()

    def _session(self, message: Message) -> Session:
        name = message.head["session"]
        if name not in self._sessions:
            raise NotFound(f"there is no session {name}")
        return self._sessions[name]

    # -- operations ----------------------------------------------------------------------------------------

    async def _open(self, message: Message) -> tuple[dict[str, Any], bytes]:
        name = message.head["session"]
        with self._begun(name):
            laps = await self._opened(name, json.loads(message.body))
            self._check_wanted(name, is_new=True)
        return {"laps": milliseconds(laps)}, b""

    @contextlib.contextmanager
    def _begun(self, name: str) -> Iterator[None]:
        """A block in which a session is made ready, and its caller may go away: see `_check_wanted`."""
        self._begun_for.add(name)
        try:
            yield
        finally:
            self._begun_for.discard(name)

    def _check_wanted(self, name: str, *, is_new: bool) -> None:
        if name not in self._begun_for:
            if is_new:
                self._let_go(name)
            raise InvalidRequest("the caller went away before the run began")

    async def _opened(self, name: str, asked: dict[str, Any]) -> dict[str, float]:
        """Make the session `name`; returns its laps in seconds."""
        limits, imports = self._limits(asked["limits"]), asked["imports"]
        if name in self._sessions:
            raise InvalidRequest(f"there is a session {name} already")
        started = time.perf_counter()
        if runtime := asked.get("runtime"):
            async with self._others.using(runtime) as other:
                session, laps = await other.make(limits, imports)
                self._sessions[name] = session
        else:
            session, laps = await self._workshop.make(limits, imports)
            self._sessions[name] = session
        laps["session"] = time.perf_counter() - started
        return laps

    def _limits(self, asked: dict[str, Any]) -> Limits:
        """Nearly all ask for the default: that is one object."""
        return self._parked_limits if asked == self._config["limits"] else Limits(**asked)

    async def _put(self, message: Message) -> tuple[dict[str, Any], bytes]:
        head, workspace = message.head, self._session(message).workspace
        if head["is_given_up"]:
            await workspace.give_up(head["path"])
            return {}, b""
        await workspace.put(
            head["path"],
            message.body,
            is_first=message.head["is_first"],
            is_last=message.head["is_last"],
        )
        return {}, b""

    async def _files(self, message: Message) -> tuple[dict[str, Any], bytes]:
        files, is_whole = await self._session(message).workspace.files()
        return {"is_whole": is_whole}, json.dumps(files).encode()

    async def _use(self, message: Message) -> tuple[dict[str, Any], bytes]:
        return {}, json.dumps(await self._session(message).use()).encode()

    async def _find(self, message: Message) -> tuple[dict[str, Any], bytes]:
        file = await self._session(message).workspace.find(message.head["path"])
        return {}, json.dumps(file).encode()

    async def _remove(self, message: Message) -> tuple[dict[str, Any], bytes]:
        await self._session(message).workspace.remove(message.head["path"])
        return {}, b""

    async def _read(self, message: Message) -> tuple[dict[str, Any], bytes]:
        head = message.head
        return {}, await self._session(message).workspace.read(head["handle"], head["offset"], head["length"])

    async def _pack(self, message: Message) -> tuple[dict[str, Any], bytes]:
        return {}, await self._session(message).pack(is_first=message.head["is_first"])

    async def _unpack(self, message: Message) -> tuple[dict[str, Any], bytes]:
        await self._session(message).unpack(message.body, is_last=message.head["is_last"])
        return {}, b""

    async def _execute(self, message: Message) -> tuple[dict[str, Any], bytes]:
        head, number = message.head, message.head["id"]
        name = head["session"]
        request = json.loads(message.body[: head["size"]])
        request["request_id"] = head.get("request_id", "")

        async def emit(event: Message) -> None:
            # An owner that is slow holds up the guest. One that is not has the end of a short run with its outputs.
            await self._line.send_soon(Message(event.kind, {**event.head, "id": number}, event.body))

        closed: list[Session | None] = []

        def afterwards() -> None:
            self._running -= 1
            for session in closed:
                self._end(session)
            if self._running == 0:
                self._workshop.lot.wake()
                for other in self._others:
                    other.lot.wake()

        self._running += 1
        self._afterwards[number] = afterwards
        laps: dict[str, float] = {}
        try:
            with self._begun(name):
                if is_new := "open" in request:
                    laps = await self._opened(name, request["open"])
                await self._put_all(message, request["files"])
                self._check_wanted(name, is_new=is_new)
            result = await self._session(message).execute(request, emit)
        except (SessionLost, OSError):
            closed.append(
                self._sessions.pop(name, None)
            )  # nobody can use it any more, and nobody would close it
            raise
        result["laps"] = milliseconds(laps) | result["laps"]
        if head["closes"] and not result["files"]:
            closed.append(self._sessions.pop(name, None))
        return {"is_closed": bool(closed)}, json.dumps(result).encode()

    async def _put_all(self, message: Message, files: Sequence[tuple[str, int]]) -> None:
        """The files that came with a run."""
        at = message.head["size"]
        for file, size in files:
            workspace = self._session(message).workspace
            await workspace.put(file, message.body[at : at + size], is_first=True, is_last=True)
            at += size

    async def _interrupt(self, message: Message) -> tuple[dict[str, Any], bytes]:
        name = message.head["session"]
        is_begun = name in self._begun_for
        self._begun_for.discard(name)
        if not is_begun or name in self._sessions:
            self._session(message).interrupt()
        return {}, b""

    async def _reply(self, message: Message) -> tuple[dict[str, Any], bytes]:
        head = message.head
        await self._session(message).reply(head["ask"], head["status"], message.body)
        return {}, b""

    async def _close(self, message: Message) -> tuple[dict[str, Any], bytes]:
        self._begun_for.discard(message.head["session"])
        self._let_go(message.head["session"])
        return {}, b""

    async def _state(self, _: Message) -> tuple[dict[str, Any], bytes]:
        zygotes = self._workshop.zygotes
        state = {
            "sessions": len(self._maker.living),
            "parked": {
                tier.name: count
                for tier, count in zip(zygotes.tiers, self._workshop.lot.counts(), strict=True)
            },
            "generations": zygotes.generations,
            "begun": zygotes.begun,
            "runtimes": self._others.states(),
            "idle_offered": self._idle.offered,
            "idle_given_back_bytes": self._idle.given_back_bytes,
            "idle_failed": self._idle.failed,
        }
        return {}, json.dumps(state).encode()

    async def _make_ahead(self, _: Message) -> tuple[dict[str, Any], bytes]:
        self._ahead.set()
        return {}, b""

    def _let_go(self, name: str) -> None:
        """End a session, if there is one of that name."""
        self._end(self._sessions.pop(name, None))

    def _end(self, session: Session | None) -> None:
        """Nobody waits for the milliseconds that the kernel takes."""
        # When the owner has gone, it ends with all others.
        if session is not None and not self._gone.is_set():
            session.kill()
            self._work.start_soon(self._maker.end, session)

    _OPERATIONS: ClassVar[dict[str, Operation]] = {
        "open": _open,
        "put": _put,
        "files": _files,
        "use": _use,
        "find": _find,
        "read": _read,
        "remove": _remove,
        "pack": _pack,
        "unpack": _unpack,
        "execute": _execute,
        "interrupt": _interrupt,
        "reply": _reply,
        "close": _close,
        "state": _state,
        "ahead": _make_ahead,
    }


def _refusal(number: int, kind: str, text: str) -> Message:
    return Message("error", {"id": number, "error": kind, "message": text[:_MAX_ERROR_CHARACTERS]})


def _ignore(message: Message) -> None:
    """The keeper is about to end, and whoever asks now is told so by that."""


def _description(
    runtime: Runtime,
    versions: dict[str, str],
    laps: dict[str, float],
    level: Level,
    found: list[Layer],
    idle_memory: IdleMemory,
) -> bytes:
    facts = {
        "isolation": {"level": level, "missing": layers.missing(found)},
        "layers": [asdict(layer) for layer in found],
        "python": runtime.version,
        "packages": versions,
        "laps": milliseconds(laps),
        "idle_memory": asdict(idle_memory),
    }
    return json.dumps(facts).encode()


def _refuse_small_limits(limits: Limits) -> None:
    """Raises JailUnavailable where we may not have what sessions are promised."""
    for name, least, what in (
        ("NOFILE", _LEAST_FILES, "the number of open files"),
        ("FSIZE", max(limits.disk_bytes, _LEAST_FILE_BYTES), "the bytes of a file"),
    ):
        if (most := inherited.hard_limit(f"RLIMIT_{name}")) < least:
            raise JailUnavailable(
                f"the hard limit on {what} is {most:,} here, and {least:,} are needed: raise it where Belljar is "
                f"started (Limit{name}= of systemd, --ulimit {name.lower()} of Docker, /etc/security/limits.conf)"
            )


async def run(fd: int) -> None:
    """Serve the owner at the other end of descriptor `fd`: its first message configures us."""
    sock = socket.socket(fileno=fd)
    first: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    gone = anyio.Event()

    def end() -> None:
        gone.set()
        if not first.done():
            first.set_exception(EOFError("the owner went before it said what it wants"))

    line = await open_line(sock, MAX_REQUEST_BYTES, first.set_result, end)
    try:
        config = json.loads((await first).body)
    except EOFError:
        return  # it was begun ahead for an owner who has ended, or does without it
    async with anyio.create_task_group() as tasks:
        supervisor = Supervisor(line, gone, config, tasks)
        tasks.start_soon(_until_signal, line)
        try:
            await supervisor.serve()
        except BelljarError as error:
            await line.send(Message("failed", {"error": type(error).__name__, "message": str(error)}))
        tasks.cancel_scope.cancel()


async def _until_signal(line: Line) -> None:
    # SIGINT of a terminal goes to us too, but it is for our owner to decide what it means.
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            if number == signal.SIGTERM:
                line.abort()  # as if the owner had gone: one way to end
                return
