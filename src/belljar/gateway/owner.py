"""What the owner of a server's state directory has there: the API without a key, and programs that `belljar run` sends.

Both are Unix sockets in a directory that nobody else may enter, and who connects is asked of the kernel besides.
Whoever may do that could read the store and make a key as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shlex
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import structlog
from anyio.abc import TaskGroup
from pydantic import ValidationError

import belljar
from belljar import orders, paths, printed, private, results, warm
from belljar.errors import BelljarError, InvalidRequest, StoreFailed
from belljar.frames import MAX_RUN_BYTES
from belljar.gateway.activity import Activity, UnderWay
from belljar.gateway.envelope import ShuttingDown, from_validation
from belljar.gateway.parts import Parts
from belljar.gateway.placement import Session
from belljar.imports import imported
from belljar.inputs import checked_name
from belljar.records import MIB
from belljar.settings import Settings
from belljar.wire.execution import ExecutionRequest, LimitsRequest
from belljar.wire.ids import new_id

log = structlog.get_logger("belljar.gateway")

_BACKLOG = 128
_LOCK_TRIES = 10
"""Commands that look whether there is a server hold the lock for a moment."""
_LOCK_SECONDS = 0.05
_READ_BYTES = 256 * 1024
_LAST_WORD_SECONDS = 1
_HELD_BYTES = 1024 * 1024
"""Of a file that is looked at for imports, and travels with the code."""


class Taken(BelljarError):
    """Another server has the state directory."""


@contextmanager
def own_place(state_dir: Path) -> Iterator[Path]:
    """The directory of the sockets, while this server has the state directory to itself. Raises Taken."""
    place = state_dir / warm.FOLDER
    private.make_directory(state_dir)
    if private.is_open(state_dir):
        log.warning("others may enter the state directory", mend=f"chmod 700 {shlex.quote(str(state_dir))}")
    place.mkdir(exist_ok=True, mode=0o700)
    place.chmod(0o700)
    with open(
        place / warm.LOCK, "r+", opener=lambda name, flags: os.open(name, flags | os.O_CREAT, 0o600)
    ) as lock:
        for left in reversed(range(_LOCK_TRIES)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if not left:
                    pid = lock.read()
                    ending = warm.ending(warm.read_record(str(place)) or {"pid": pid})
                    raise Taken(
                        f"A server (pid {pid}) has the state directory {state_dir} already. End it ({ending}), or "
                        "give this one another (--state-dir)."
                    ) from error
                time.sleep(_LOCK_SECONDS)
            except OSError as error:
                raise StoreFailed(
                    f"{place / warm.LOCK} cannot be locked: {error.strerror}. The state directory has to be on a file "
                    "system of this machine, with locks (flock): choose another --state-dir."
                ) from error
        try:
            # Past the file object, which would try what it could not write once more when it is closed.
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), b"%d" % os.getpid())
        except OSError as error:
            raise StoreFailed(
                f"{place / warm.LOCK} cannot be written: {error.strerror}. See "
                f"`df -h {shlex.quote(str(place))}`, and make room there."
            ) from error
        _clear(place)
        try:
            yield place
        finally:
            _clear(place)


def _clear(place: Path) -> None:
    """What a server leaves that was killed is no server."""
    for name in (warm.RECORD, warm.RUNS, warm.API):
        (place / name).unlink(missing_ok=True)


def listen(place: Path, name: str) -> socket.socket:
    """A Unix socket in the directory, which the owner alone may connect to. Raises OSError where none can be there."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path, fd = warm.address(str(place), name)
        try:
            listener.bind(path)
        finally:
            if fd >= 0:
                os.close(fd)
        (place / name).chmod(0o600)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def is_owner(connection: socket.socket) -> bool:
    """Whether who has connected is the user of this process, or root (SO_PEERCRED, unix(7))."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return uid in (os.geteuid(), 0)


def record(by: str, url: str, host: str, parts: Parts, idle_minutes: float | None) -> dict[str, str]:
    """What this server says of itself; `url` and `host`, the address at which it listens, are empty without a port."""
    return {
        "version": belljar.__version__,
        "pid": str(os.getpid()),
        "started_at": str(int(time.time())),
        "by": by,
        "url": url,
        "host": host,
        "require": parts.settings.require,
        "upstream": parts.upstream.kind,
        "idle_minutes": "" if idle_minutes is None else minutes_text(idle_minutes),
        **asked_of(parts.settings),
        **warm.of_runs(os.environ),
    }


def minutes_text(minutes: float) -> str:
    """As it stands in the record."""
    return f"{minutes:g}"


def asked_of(settings: Settings) -> dict[str, str]:
    """What a server is asked for, for `belljar up` to see whether one that is up is another. Some of it is secret, so
    there are digests."""
    given = settings.model_dump(
        mode="json", include={"upstream", "models", "search", "profile", "price_plan"}
    )
    return {
        f"asked.{name}": hashlib.sha256(f"{name}={value}".encode()).hexdigest()
        for name, value in given.items()
    }


class Programs:
    """Runs programs for whoever connects, until it is told to end."""

    def __init__(self, parts: Parts, under_way: UnderWay) -> None:
        self._parts = parts
        self._under_way = under_way
        self.is_ending = False
        """Whoever connects now is refused."""

    async def serve(self, listener: socket.socket) -> None:
        """Take connections until cancelled."""
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            while True:
                try:
                    connection, _ = await loop.sock_accept(listener)
                except OSError as error:  # as where there are no descriptors left: those who are here go on
                    log.warning("a connection could not be taken", error=error.strerror)
                    await anyio.sleep(1)
                    continue
                connection.setblocking(False)
                tasks.start_soon(self._answer, connection)

    async def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # a command that is gone hears nothing any more
            if not is_owner(connection):
                return
            speaker = _Speaker(connection)
            activity = Activity(new_id("req"), "belljar run")
            started = time.perf_counter()
            failure: BelljarError | None = None
            with self._under_way.track(activity):
                with activity.scope:
                    failure = await self._run(speaker, activity)
                if activity.is_cut_short:
                    failure = ShuttingDown("the server is shutting down, and this run was cut short")
                if failure is not None and not speaker.has_ended:
                    with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_WORD_SECONDS):
                        await speaker.say([(warm.FAILED, str(failure).encode("utf-8", "replace"))])
                ms = round((time.perf_counter() - started) * 1000, 2)
                error = failure and type(failure).__name__
                log.info("run", ran=activity.has_run_code, ended=speaker.has_ended, error=error, ms=ms)

    async def _run(self, speaker: _Speaker, activity: Activity) -> BelljarError | None:
        """Returns what kept the program from being run, or its end from being known."""
        try:
            await speaker.say([(warm.HERE, b"")])
            if self.is_ending:
                return ShuttingDown("the server is shutting down")
            await _Call(self._parts, activity, speaker).run()
        except (_HungUp, OSError):
            return None
        except BelljarError as error:
            return error
        except Exception:  # the outermost boundary: logged once, here
            log.exception("a run failed")
            return BelljarError("Internal server error; the server's log has the details.")
        return None


class _HungUp(Exception):
    """The command has ended before its program."""


class _Speaker:
    """Frames to and from one command."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._frames = warm.Frames(MAX_RUN_BYTES)
        self._come: list[printed.Frame] = []
        self.has_ended = False

    async def say(self, frames: list[printed.Frame]) -> None:
        data = b"".join(warm.frame(kind, body) for kind, body in frames)
        await self._loop.sock_sendall(self._connection, data)
        self.has_ended = self.has_ended or any(kind == warm.EXIT for kind, _ in frames)

    async def hear(self) -> printed.Frame:
        """What comes next. Raises _HungUp, and RequestTooLarge."""
        while not self._come:
            data = await self._loop.sock_recv(self._connection, _READ_BYTES)
            if not data:
                raise _HungUp
            try:
                self._come = self._frames.feed(data)
            except ValueError as error:
                raise orders.too_large() from error
        return self._come.pop(0)


class _Call:
    """One program, from what the command says of it to its end."""

    def __init__(self, parts: Parts, activity: Activity, speaker: _Speaker) -> None:
        self._parts = parts
        self._activity = activity
        self._speaker = speaker
        self._words: dict[bytes, str] = {}
        self._formats: list[str] = []
        self._arguments: list[str] = []
        self._large: tuple[str, bytes] | None = None
        """A file whose pieces come now, and as much of it as is here."""
        self._unsaid: list[printed.Frame] = []
        self._turn = anyio.Lock()
        self._came = anyio.Event()

    async def run(self) -> None:
        """Raises BelljarError, _HungUp, and OSError where the command has gone."""
        next_said = await self._hear_words()
        parts, words = self._parts, self._words
        limits = parts.settings.limits(self._limits())
        runtime = parts.runtimes.chosen(words.get(warm.RUNTIME), None)
        tenant = self._activity.client.tenant
        container = await parts.placement.create(limits, tenant, is_kept=False, runtime=runtime)
        self._activity.container_id = container.id
        try:
            small = await self._small_files(*next_said)
            imports = imported(words.get(warm.CODE, ""), small)
            async with parts.placement.use(container.id, imports) as session:
                for name, content in small.items():
                    await session.put(name, "", content)
                while self._large is not None:
                    await self._put_large(session, *self._large)
                await self._execute(session, runtime, limits.output_bytes)
        finally:
            await parts.placement.discard(container.id, "it was made for one run")

    async def _hear_words(self) -> printed.Frame:
        """All that is said before files come; returned is how the first begins, or the word to go."""
        while True:
            kind, body = await self._speaker.hear()
            if kind in (warm.GO, warm.INPUT):
                return kind, body
            try:
                # Standard input is any bytes; the guest gives those that are no text back as they were.
                word = body.decode("utf-8", "surrogateescape" if kind == warm.STDIN else "surrogatepass")
            except UnicodeDecodeError as error:
                raise InvalidRequest(f"what was said is no text: {error}") from error
            if kind == warm.FORMAT:
                self._formats.append(word)
            elif kind == warm.ARGUMENT:
                self._arguments.append(word)
            else:
                self._words[kind] = word

    def _limits(self) -> LimitsRequest:
        asked = {}
        for name, kind in (("memory_bytes", warm.MEMORY_MIB), ("output_bytes", warm.OUTPUT_MIB)):
            mib = self._words.get(kind)
            try:
                asked[name] = None if mib is None else int(mib) * MIB
            except ValueError as error:
                raise InvalidRequest(f"limits.{name}: {error}") from error
        try:
            return LimitsRequest(**asked)
        except ValidationError as error:
            raise from_validation(error, "limits.") from error

    async def _small_files(self, kind: bytes, body: bytes) -> dict[str, bytes]:
        """Files that are looked at for imports and travel with the code; they end with one that does not."""
        small: dict[str, bytes] = {}
        room = _HELD_BYTES
        while kind == warm.INPUT:
            name, held = checked_name(paths.shown(body), "--file"), b""
            while (said := await self._speaker.hear())[0] == warm.PIECE:
                held += said[1]
                if len(held) > room:
                    self._large = name, held
                    return small
            small[name] = held
            room -= len(held)
            kind, body = said
        return small

    async def _put_large(self, session: Session, name: str, held: bytes) -> None:
        followed: list[printed.Frame] = []

        async def pieces() -> AsyncIterator[bytes]:
            if held:
                yield held
            while (said := await self._speaker.hear())[0] == warm.PIECE:
                yield said[1]
            followed.append(said)

        await session.put(name, "", pieces)
        kind, body = followed[0]
        self._large = (checked_name(paths.shown(body), "--file"), b"") if kind == warm.INPUT else None

    async def _execute(self, session: Session, runtime: str, output_bytes: int) -> None:
        words, settings = self._words, self._parts.settings
        name = words.get(warm.NAME)
        form = printed.Form(warm.AS_JSON in words, warm.ON_TERMINAL in words, name, output_bytes)
        try:
            charts = printed.charts_of(self._formats, words.get(warm.DPI))
            given = words.get(warm.SECONDS)
            asked = ExecutionRequest(code="", timeout_seconds=None if given is None else float(given))
        except ValidationError as error:
            raise from_validation(error) from error
        except ValueError as error:
            raise InvalidRequest(str(error)) from error
        seconds = asked.timeout_seconds or settings.timeout_seconds
        what = orders.Run(
            words.get(warm.CODE, ""),
            seconds,
            stdin=words.get(warm.STDIN, ""),
            argv=printed.argv(name, self._arguments),
            is_last=True,
            charts=charts,
        )

        def heard(event: results.Event) -> None:
            self._unsaid.extend(printed.heard(event, form))
            self._came.set()

        failure: BelljarError | OSError | None = None
        self._activity.has_run_code = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, session, tasks)
            tasks.start_soon(self._pass_on, tasks)
            try:
                result = await session.execute(what, heard)
                isolation = self._parts.placement.description.isolation
                told = printed.ended(result, session.read, form, runtime=runtime, isolation=isolation)
                async for frame in told:
                    self._unsaid.append(frame)
                    if frame[0] == warm.PIECE:
                        await self._say_all()  # and no more is read of it before that
                await self._say_all()
            except (BelljarError, OSError) as error:
                failure = error  # as it is, and not as a group of one
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _listen(self, session: Session, tasks: TaskGroup) -> None:
        """Interrupt the program where the command says so, and end it where that is gone."""
        with contextlib.suppress(_HungUp, OSError):
            while (await self._speaker.hear())[0] == warm.INTERRUPT:
                with contextlib.suppress(BelljarError):  # it has just ended
                    await session.interrupt()
        tasks.cancel_scope.cancel()

    async def _pass_on(self, tasks: TaskGroup) -> None:
        """Say what the program prints while it runs."""
        with contextlib.suppress(OSError):
            while True:
                await self._came.wait()
                self._came = anyio.Event()
                await self._say_all()
        tasks.cancel_scope.cancel()

    async def _say_all(self) -> None:
        async with self._turn:  # or two would mix what they say
            frames, self._unsaid = self._unsaid, []
            if frames:
                await self._speaker.say(frames)
