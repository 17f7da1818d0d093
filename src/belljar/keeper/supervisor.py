"""Serves the owner: each request in a task of its own, each session closed with its owner."""

from __future__ import annotations

import contextlib
import json
import platform
import resource
import secrets
import signal
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import anyio
from anyio.abc import ByteStream, TaskGroup

from belljar import kernel
from belljar.errors import BelljarError, InvalidRequest, JailUnavailable, NotFound, SessionLost
from belljar.frames import Decoder, Message, encode
from belljar.keeper import cgroups, layers
from belljar.keeper.boxes import UID_COUNT, NoNamespaces, Site, bare, outer
from belljar.keeper.inside import Runtime, inspect_runtime
from belljar.keeper.journal import log, milliseconds
from belljar.keeper.sessions import Session
from belljar.wire.execution import Layer, Level, Limits

_PARK_AGAIN_SECONDS = 5
MAX_REQUEST_BYTES = 256 * 1024 * 1024

Operation = Callable[["Supervisor", Message], Awaitable[tuple[dict[str, Any], bytes]]]


class Supervisor:
    """One keeper's life. `config` is the owner's: runtime, preload, parked and their limits, uid_base,
    grace_seconds, require."""

    def __init__(self, stream: ByteStream, config: dict[str, Any], tasks: TaskGroup) -> None:
        self._stream = stream
        self._sending = anyio.Lock()
        self._config = config
        self._tasks = tasks
        self._sessions: dict[str, Session] = {}
        self._living: set[Session] = set()
        """Every session that is not gone yet, named or not."""
        self._parked: deque[tuple[Session, dict[str, float]]] = deque()
        self._parked_limits = Limits.model_validate(config["limits"])
        self._is_low = anyio.Event()
        self._ending = anyio.Event()
        self._used_indexes: set[int] = set()
        self._next_index = 0
        self._work: TaskGroup
        """Requests, parking and ends of sessions. The readers of guests live in `tasks`, and longer."""
        self._tree: cgroups.Tree | None = None
        self._site: Site | None = None

    async def serve(self, decoder: Decoder) -> None:
        """Make a place for sessions, tell the owner what this machine gives, and answer until the owner is gone."""
        runtime = inspect_runtime(Path(self._config["runtime"]))
        if not kernel.Landlock.abi():
            raise JailUnavailable(
                f"this kernel ({platform.release()}) has no Landlock: boot with lsm=landlock,… (Linux 5.13 or newer)"
            )
        self._tree, no_cgroups = cgroups.find()
        try:
            async with self._site_of(runtime) as (site, no_namespaces):
                self._site = site
                facts = layers.Facts(
                    no_namespaces,
                    site.has_own_uids,
                    "" if self._tree is not None else "; ".join(no_cgroups),
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
                    # What is under way ends in here, half-made sessions included: before their cgroups' parent.
                    async with anyio.create_task_group() as self._work:
                        if self._config["parked"]:
                            self._work.start_soon(self._park)
                        await self.send(Message("ready", {}, _description(runtime, site, level, found)))
                        await self._answer(decoder)
                        self._ending.set()
                        self._work.cancel_scope.cancel()
                finally:
                    with anyio.CancelScope(shield=True):
                        for session in list(self._living):
                            session.kill()
                        async with anyio.create_task_group() as deaths:
                            for session in list(self._living):
                                deaths.start_soon(self._end, session)
        finally:
            if self._tree is not None:
                self._tree.close()

    @asynccontextmanager
    async def _site_of(self, runtime: Runtime) -> AsyncIterator[tuple[Site, str]]:
        """The best that this machine gives, found by trying, and why it has no namespaces where it has none."""
        arguments = (
            runtime,
            self._config["preload"],
            self._config["uid_base"],
            self._tasks,
            self._guest_exited,
        )
        async with AsyncExitStack() as stack:
            site: Site
            reason = ""
            try:
                site = await stack.enter_async_context(outer.start(*arguments, self._tree))
            except NoNamespaces as error:
                reason = str(error)
                if self._config["require"] != "reduced":
                    raise JailUnavailable(
                        f"this machine gives no boxes of namespaces ({reason}). Allow them: {layers.ALLOW_NAMESPACES}. "
                        "Or accept a weaker jail without them, for one tenant: BELLJAR_REQUIRE=reduced"
                    ) from error
                site = await stack.enter_async_context(bare.start(*arguments, self._tree))
            yield site, reason

    async def _answer(self, decoder: Decoder) -> None:
        while True:
            try:
                data = await self._stream.receive(262144)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return
            for message in decoder.feed(data):
                self._work.start_soon(self._handle, message)

    async def send(self, message: Message) -> None:
        """To the owner; waits where the owner is slow, and so do the guests then."""
        async with self._sending:
            # An owner that is gone is noticed where its requests are read, and ends everything there.
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await self._stream.send(encode(message))

    async def _handle(self, message: Message) -> None:
        number = message.head["id"]
        try:
            head, body = await self._OPERATIONS[message.kind](self, message)
            answer = Message("answer", {"id": number, **head}, body)
        except BelljarError as error:
            answer = Message("error", {"id": number, "error": type(error).__name__, "message": str(error)})
        except Exception as error:  # noqa: BLE001 - the boundary of one request: the others go on
            log(message.kind, error)
            answer = Message(
                "error", {"id": number, "error": "SessionLost", "message": f"the keeper failed: {error}"}
            )
        await self.send(answer)

    def _guest_exited(self, packet: dict[str, Any]) -> None:
        for session in self._living:
            session.guest_exited(packet["pid"], packet["status"], packet["cpu_seconds"])

    def _session(self, message: Message) -> Session:
        name = message.head["session"]
        if name not in self._sessions:
            raise NotFound(f"there is no session {name}")
        return self._sessions[name]

    def _take_index(self) -> int:
        """A number that no live session has: its guest's uid, where each has one of its own."""
        for _ in range(UID_COUNT):
            self._next_index = self._next_index % (UID_COUNT - 1) + 1
            if self._next_index not in self._used_indexes:
                self._used_indexes.add(self._next_index)
                return self._next_index
        raise SessionLost("every guest uid is taken")

    # -- operations ----------------------------------------------------------------------------------------

    async def _open(self, message: Message) -> tuple[dict[str, Any], bytes]:
        name, limits = message.head["session"], Limits.model_validate(message.head["limits"])
        if name in self._sessions:
            raise InvalidRequest(f"there is a session {name} already")
        started = time.perf_counter()
        if self._parked and limits == self._parked_limits:
            # It has waited outside of any request, locked in and checked; it serves this session and no other.
            self._sessions[name], laps = self._parked.popleft()
            self._is_low.set()
            laps = {f"parked.{lap}": seconds for lap, seconds in laps.items()}
        else:
            session, laps = await self._make(limits)
            self._sessions[name] = session
        laps["session"] = time.perf_counter() - started
        return {"laps": milliseconds(laps)}, b""

    async def _make(self, limits: Limits) -> tuple[Session, dict[str, float]]:
        """A session whose guest is locked in and waits for code; its laps in seconds."""
        assert self._site is not None
        index = self._take_index()
        started = time.perf_counter()
        cgroup = None
        try:
            cgroup = self._tree.make(secrets.token_hex(4), limits) if self._tree else None
            made = time.perf_counter()
            box = await self._site.make_box(index, limits.disk_bytes)
        except BaseException:
            if cgroup is not None:
                cgroup.remove()
            self._used_indexes.discard(index)
            raise
        session = Session(self._site, box, index, limits, cgroup, self._config["grace_seconds"], self._tasks)
        self._living.add(session)
        try:
            laps = await session.live()
        except BaseException:
            await self._end(session)
            raise
        return session, laps | {"cgroup": made - started}

    async def _park(self) -> None:
        """Keep sessions with the default limits ready, made while nobody waits for them."""
        while True:
            while len(self._parked) < self._config["parked"] and not self._ending.is_set():
                try:
                    self._parked.append(await self._make(self._parked_limits))
                except Exception as error:  # noqa: BLE001 - without parked sessions requests make their own
                    if self._ending.is_set():
                        return
                    log("no session could be parked", error)
                    await anyio.sleep(_PARK_AGAIN_SECONDS)
            self._is_low = anyio.Event()
            await self._is_low.wait()

    async def _end(self, session: Session) -> None:
        try:
            with anyio.CancelScope(shield=True):
                is_gone = await session.close()
        except Exception as error:  # noqa: BLE001 - nobody waits for this, and the other sessions go on
            is_gone = False
            log("a session's end", error)
        self._living.discard(session)
        if is_gone:
            self._used_indexes.discard(session.index)  # else its uid is not to be given to another

    async def _put(self, message: Message) -> tuple[dict[str, Any], bytes]:
        await self._session(message).workspace.put(
            message.head["name"],
            message.body,
            is_first=message.head["is_first"],
            is_last=message.head["is_last"],
        )
        return {}, b""

    async def _read(self, message: Message) -> tuple[dict[str, Any], bytes]:
        head = message.head
        return {}, await self._session(message).workspace.read(head["handle"], head["offset"], head["length"])

    async def _execute(self, message: Message) -> tuple[dict[str, Any], bytes]:
        number = message.head["id"]

        async def emit(event: Message) -> None:
            await self.send(Message(event.kind, {**event.head, "id": number}, event.body))

        result = await self._session(message).execute(json.loads(message.body), emit)
        return {}, json.dumps(result).encode()

    async def _interrupt(self, message: Message) -> tuple[dict[str, Any], bytes]:
        self._session(message).interrupt()
        return {}, b""

    async def _close(self, message: Message) -> tuple[dict[str, Any], bytes]:
        session = self._sessions.pop(message.head["session"], None)
        if session is not None:
            session.kill()
            # The kernel takes milliseconds to take it apart: nobody has to wait for that.
            self._work.start_soon(self._end, session)
        return {}, b""

    _OPERATIONS: ClassVar[dict[str, Operation]] = {
        "open": _open,
        "put": _put,
        "read": _read,
        "execute": _execute,
        "interrupt": _interrupt,
        "close": _close,
    }


def _description(runtime: Runtime, site: Site, level: Level, found: list[Layer]) -> bytes:
    facts = {
        "isolation": {"level": level, "missing": layers.missing(found)},
        "layers": [layer.model_dump() for layer in found],
        "python": runtime.version,
        "packages": runtime.packages,
        "preload_failed": site.preload_failed,
        "laps": milliseconds(site.laps),
    }
    return json.dumps(facts).encode()


async def run(fd: int) -> None:
    """Serve the owner at the other end of descriptor `fd`: its first message configures us."""
    sock = socket.socket(fileno=fd)
    # Some six descriptors a session; the usual soft limit is there for programs that use select(2).
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    async with await anyio.abc.SocketStream.from_socket(sock) as stream, anyio.create_task_group() as tasks:
        decoder = Decoder(MAX_REQUEST_BYTES)
        config = await _first(stream, decoder)
        supervisor = Supervisor(stream, config, tasks)
        tasks.start_soon(_until_signal, stream)
        try:
            await supervisor.serve(decoder)
        except BelljarError as error:
            await stream.send(
                encode(Message("failed", {"error": type(error).__name__, "message": str(error)}))
            )
        tasks.cancel_scope.cancel()


async def _first(stream: ByteStream, decoder: Decoder) -> dict[str, Any]:
    while True:
        for message in decoder.feed(await stream.receive()):
            config: dict[str, Any] = json.loads(message.body)
            return config


async def _until_signal(stream: ByteStream) -> None:
    # SIGINT of a terminal goes to us too, but it is for our owner to decide what it means.
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            if number == signal.SIGTERM:
                await stream.aclose()  # as if the owner had gone: one way to end
                return
