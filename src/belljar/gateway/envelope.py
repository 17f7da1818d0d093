"""What every request has in common: its id, its body within the limit, its end when the client hangs up, and
the envelope in which whatever went wrong is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import structlog
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from belljar.errors import BelljarError, BudgetSpent, Conflict, InvalidRequest, RequestTooLarge
from belljar.gateway.access import Access, Client
from belljar.gateway.files import now_microseconds
from belljar.gateway.frame import frame, json_bytes
from belljar.gateway.telemetry import Telemetry
from belljar.gateway.timeline import R, Timeline, Timelines
from belljar.gateway.tracing import passed_on
from belljar.gateway.usage import Ledger, Meter
from belljar.logged import REQUEST_ID
from belljar.wire.ids import new_id
from belljar.wire.messages import FORMS
from belljar.wire.resources import error_document

if TYPE_CHECKING:
    from belljar.gateway.spans import Trace, Tracing

log = structlog.get_logger("belljar.gateway")

_ACTIVITY = "belljar.activity"
_LOOKS = frozenset({"GET /health", "GET /metrics", "GET /v1/runtimes"})
_HANG_UP_SECONDS = 0.1
_BESIDE_SECONDS = 10
_DRAIN_FACTOR = 4
_DRAIN_SECONDS = 10
_STATUS_KINDS = {400: "invalid_request_error", 404: "not_found_error", 405: "invalid_request_error"}


class ShuttingDown(BelljarError):
    """The server ends, and cut the request short."""

    status = 503


class BodyStalled(BelljarError):
    """The client has stopped in the middle of its request's body."""

    status = 408
    kind = "timeout_error"


class ThreadUnsupported(InvalidRequest):
    """The caller wants the server to remember the conversation. SDKs know this answer, and send all of it."""

    details = {"error_code": "thread_unsupported_request"}  # noqa: RUF012 - read only


@dataclass
class Activity:
    """A request under way, as the log and the shutdown see it."""

    request_id: str
    what: str
    client: Client = field(default_factory=Client)
    """Whoever sends it, once that is known."""
    container_id: str | None = None
    has_run_code: bool = False
    meter: Meter = field(default_factory=lambda: Meter(now_microseconds()))
    trace: Trace | None = None
    """Its spans, where they are asked for."""
    timeline: Timeline = field(default_factory=Timeline)
    is_cut_short: bool = False
    is_listening: bool = False
    """The client waits for what there may be to tell: the server's end does not wait for that."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer, whatever it will be."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _beside: list[anyio.CancelScope] = field(default_factory=list)
    _beside_ended: anyio.Event = field(default_factory=anyio.Event)
    _is_over: bool = False

    @contextmanager
    def ending_with_it(self) -> Iterator[anyio.CancelScope]:
        """A block of another task, which is cancelled where the request ends before it."""
        with anyio.CancelScope() as scope:
            self._beside.append(scope)
            if self._is_over:
                scope.cancel()
            try:
                yield scope
            finally:
                self._beside.remove(scope)
                if not self._beside:
                    self._beside_ended.set()
                    self._beside_ended = anyio.Event()

    async def ended(self) -> None:
        """Nobody waits for an answer any more. Waits for what has to end with it: until then it uses something."""
        self._is_over = True
        for scope in self._beside:
            scope.cancel()
        with anyio.move_on_after(_BESIDE_SECONDS, shield=True):
            while self._beside:
                await self._beside_ended.wait()

    async def execution(
        self, tools: Sequence[str], running: Coroutine[Any, Any, R], *, is_metered: bool = True
    ) -> R:
        """The same, as a step of the request, and with its span where there are any.

        Its time is the request's, unless somebody else meters it: by the keeper's clock, or by ours where the run has
        no result because it was cut short.
        """
        traced = running if self.trace is None else self.trace.execution(tools, running)
        started = time.perf_counter()
        wall_seconds = None
        try:
            ran = await self.timeline.execution(tools, traced)
            wall_seconds = (ran[0] if isinstance(ran, list) else ran).result.usage.wall_seconds
        finally:
            if is_metered:
                self.meter.ran(time.perf_counter() - started if wall_seconds is None else wall_seconds)
        return ran


class UnderWay:
    """The requests under way."""

    def __init__(self) -> None:
        self._activities: dict[str, Activity] = {}
        self.used_at = time.monotonic()
        """When the last one has ended, of those that do more than ask how the server is."""
        self._emptied: anyio.Event | None = None

    def __len__(self) -> int:
        return len(self._activities)

    @contextmanager
    def track(self, activity: Activity) -> Iterator[None]:
        self._activities[activity.request_id] = activity
        try:
            yield
        finally:
            del self._activities[activity.request_id]
            if activity.what not in _LOOKS:
                self.used_at = time.monotonic()
            if self._emptied is not None and not self._activities:
                self._emptied.set()

    async def ended(self, seconds: float) -> None:
        """Wait for all of them to end, for so long at most."""
        if self._activities:
            self._emptied = anyio.Event()
            with anyio.move_on_after(seconds):
                await self._emptied.wait()

    def let_go(self) -> None:
        """End what only listens."""
        for activity in self._activities.values():
            if activity.is_listening:
                activity.is_cut_short = True
                activity.scope.cancel()

    def cut_short(self) -> None:
        """Cancel every request, and name it in the log."""
        for activity in self._activities.values():
            log.warning(
                "cut short by the shutdown",
                request_id=activity.request_id,
                what=activity.what,
                tenant=activity.client.tenant,
                container=activity.container_id,
            )
            activity.is_cut_short = True
            activity.scope.cancel()


def activity_of(scope: Scope) -> Activity:
    activity = scope[_ACTIVITY]
    assert isinstance(activity, Activity)
    return activity


def envelope(error: BelljarError, request_id: str) -> dict[str, Any]:
    """The API's own form of an engine error."""
    return error_document(error.kind, str(error), request_id, getattr(error, "details", None))


def from_validation(error: ValidationError, prefix: str = "") -> InvalidRequest:
    """The first thing that is wrong, by its path: `messages.0.content: Field required`."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    names = [str(part) for part in first["loc"] if part not in FORMS]
    path = prefix + ".".join(names)
    return InvalidRequest(f"{path}: {first['msg']}" if path else str(first["msg"]))


Streamed = Callable[[str, str], int | None]
"""The largest body of a method and path that is read as it comes in; None where it is read whole."""


class Envelope:
    """ASGI middleware around everything else. It alone answers errors, and reads bodies: but for those of the methods
    and paths that are `streamed`, which have limits of their own and are read by the application as they come in.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        max_body_bytes: int,
        streamed: Streamed,
        under_way: UnderWay,
        telemetry: Telemetry,
        ledger: Ledger,
        timelines: Timelines,
        silence_seconds: float,
        tracing: Tracing | None = None,
    ) -> None:
        self._app = app
        self._tracing = tracing
        self._access = access
        self._telemetry = telemetry
        self._ledger = ledger
        self._timelines = timelines
        self._max_body_bytes = max_body_bytes
        self._streamed = streamed
        self._under_way = under_way
        self._silence_seconds = silence_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        activity = Activity(new_id("req"), f"{scope['method']} {scope['path']}")
        scope[_ACTIVITY] = activity
        REQUEST_ID.set(activity.request_id)  # in the request's own task
        if self._tracing is not None:
            parent = passed_on(Headers(scope=scope))
            activity.trace = self._tracing.begin(scope["method"], parent, activity.request_id)
        answer = _Answer(send, activity)
        streamed_limit = self._streamed(scope["method"], scope["path"])
        body = _Body(scope, receive, streamed_limit or self._max_body_bytes, self._silence_seconds)
        with self._under_way.track(activity):
            try:
                try:
                    activity.client = await self._access.admit(scope, activity.headers)
                    if streamed_limit is None:
                        await self._run_on_whole(scope, body, receive, answer, activity)
                    else:
                        body.check_announced()
                        await self._run(scope, _Stream(body, activity.scope).receive, answer, activity)
                except (BelljarError, HTTPException):
                    if not activity.is_cut_short and not answer.has_started:
                        answer.is_last = await body.drain()
                    raise
            except BelljarError as error:
                await answer.error(error)
            except HTTPException as error:
                await answer.http_error(error, scope)
            except RecursionError:
                await answer.error(InvalidRequest("The request is nested too deeply."))
            except Exception:  # the outermost boundary: logged once, here
                log.exception("a request failed", what=activity.what, tenant=activity.client.tenant)
                await answer.error(BelljarError("Internal server error; the server's log has the details."))
            finally:
                await activity.ended()
                await self._ended(scope, activity, answer.status, time.perf_counter() - started)

    async def _ended(self, scope: Scope, activity: Activity, status: int, seconds: float) -> None:
        """Count, price and log a request, however it ended."""
        with _apart("metrics"):
            self._telemetry.request(scope.get("endpoint"), status, seconds)
        meter = activity.meter
        more: dict[str, Any] = {"container": activity.container_id} if activity.container_id else {}
        if meter.is_kept:
            with _apart("metrics"):
                self._telemetry.used(meter)
            with _apart("usage"), anyio.CancelScope(shield=True):
                await self._ledger.record(activity.request_id, activity.what, activity.client, meter, status)
            with _apart("timeline"):
                self._timelines.end(
                    activity.client.tenant, activity.request_id, status, activity.container_id
                )
            more |= meter.shown()
        if activity.trace is not None:
            with _apart("spans"):
                route = self._telemetry.route(scope.get("endpoint"), status)
                activity.trace.end(route, status, tenant=activity.client.tenant, **more)
            more["trace"] = activity.trace.id
        log.info(
            "request",
            what=activity.what,
            tenant=activity.client.tenant,
            status=status,
            ms=round(seconds * 1000, 2),
            **more,
        )

    async def _run_on_whole(
        self, scope: Scope, body: _Body, receive: Receive, answer: _Answer, activity: Activity
    ) -> None:
        """Run the application on a body that has come whole, until it ends or the client hangs up."""
        whole = await body.whole()
        if whole is None:
            return
        watch = _HangUp(receive, activity.scope, answer)
        try:
            await self._run(scope, _Once(whole).receive, answer, activity)
        finally:
            watch.end()

    async def _run(self, scope: Scope, receive: Receive, answer: _Answer, activity: Activity) -> None:
        """Run the application until it ends or is cancelled; what fails is raised as it is."""
        failure: Exception | None = None
        with activity.scope:
            try:
                await self._app(scope, receive, answer.send)
            except Exception as error:  # noqa: BLE001 - raised below, where it is known whether it was cut short
                failure = error
        if activity.is_cut_short and not answer.is_complete:
            failure = ShuttingDown("The server is shutting down, and this request was cut short.")
        if failure is not None:
            raise failure


@contextmanager
def _apart(what: str) -> Iterator[None]:
    """A block whose failure keeps nothing that stands behind it from happening."""
    try:
        yield
    except Exception:  # the outermost boundary of what comes after an answer
        log.exception("what a request has used was not told everywhere", where=what)


class _Body:
    """A request's body, on its way in."""

    def __init__(self, scope: Scope, receive: Receive, limit: int, silence_seconds: float) -> None:
        self._receive = receive
        self._limit = limit
        self._silence_seconds = silence_seconds
        self._size = 0
        self._is_complete = False
        self._has_stalled = False
        headers = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        self._announced = int(announced) if announced.isdigit() else None
        self._has_body = bool(self._announced) or b"transfer-encoding" in headers
        self._waits_for_us = headers.get(b"expect", b"").lower() == b"100-continue"

    async def piece(self) -> bytes | None:
        """What has come next, empty at the end; None where the client hung up.

        Raises RequestTooLarge, and BodyStalled where nothing comes for too long.
        """
        while not self._is_complete:
            try:
                with anyio.fail_after(self._silence_seconds):
                    message = await self._receive()
            except TimeoutError as error:
                self._has_stalled = True
                raise BodyStalled(
                    f"Nothing more of the request's body has come for {self._silence_seconds:g} seconds, and it is not "
                    "complete. Send it again."
                ) from error
            if message["type"] == "http.disconnect":
                return None
            piece: bytes = message.get("body", b"")
            self._waits_for_us = False
            self._size += len(piece)
            self._is_complete = not message.get("more_body", False)
            if self._size > self._limit:
                raise self._too_large()
            if piece:
                return piece
        return b""

    async def whole(self) -> bytes | None:
        """All of it; None where the client hung up before it was complete. Raises RequestTooLarge."""
        self.check_announced()
        found = bytearray()
        while not self._is_complete:
            piece = await self.piece()
            if piece is None:
                return None
            found += piece
        return bytes(found)

    def check_announced(self) -> None:
        """Raises RequestTooLarge where the client says that it will send too much."""
        if self._announced is not None and self._announced > self._limit:
            raise self._too_large()

    async def drain(self) -> bool:
        """Read on for a while: a client that is still sending would see a broken connection, not our answer.

        Returns whether the connection cannot be used again. One that waits for our word sends nothing when it gets
        an answer instead.
        """
        if self._is_complete or not self._has_body:
            return False
        if not self._waits_for_us and not self._has_stalled:
            left = self._limit * _DRAIN_FACTOR
            with anyio.move_on_after(_DRAIN_SECONDS):
                while left > 0:
                    message = await self._receive()
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        break
                    left -= len(message.get("body", b""))
        return True

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(f"The request body is larger than the {self._limit} bytes that are allowed.")


class _Stream:
    """`receive` for an application that reads the body as it comes in. A client that hangs up cancels `scope`."""

    def __init__(self, body: _Body, scope: anyio.CancelScope) -> None:
        self._body = body
        self._scope = scope

    async def receive(self) -> Message:
        piece = await self._body.piece()
        if piece is None:
            self._scope.cancel()
            await anyio.sleep_forever()
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}


class _Once:
    """`receive` for an application whose body has been read already."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def receive(self) -> Message:
        if self._body is None:
            await anyio.sleep_forever()  # a hang-up cancels the application; nobody has to ask
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _Answer:
    """`send` that puts our headers on, and knows how far the answer has come."""

    def __init__(self, send: Send, activity: Activity) -> None:
        self._send = send
        self._activity = activity
        self._is_stream = False
        self.has_started = False
        self.status = 0
        self.is_complete = False
        self.is_last = False
        """The connection ends with it."""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_started, self.status = True, message["status"]
            headers = list(message.get("headers", []))
            headers += [
                (name.encode(), value.encode("latin-1", "replace"))
                for name, value in self._own(message["status"])
            ]
            self._is_stream = any(
                n == b"content-type" and v.startswith(b"text/event-stream") for n, v in headers
            )
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body":
            self.is_complete = not message.get("more_body", False)
        await self._send(message)

    async def error(self, error: BelljarError) -> None:
        document = envelope(error, self._activity.request_id)
        if not self.has_started:
            headers = {}
            if retry_after := getattr(error, "retry_after", None):
                headers["retry-after"] = retry_after
            if self.is_last:
                headers["connection"] = "close"
            if isinstance(error, BudgetSpent | Conflict):
                headers["x-should-retry"] = "false"
            await self._whole(error.status, json_bytes(document), headers)
        elif self._is_stream and not self.is_complete:
            await self.send({"type": "http.response.body", "body": frame(document), "more_body": False})

    async def http_error(self, error: HTTPException, scope: Scope) -> None:
        says = {404: "There is no such endpoint", 405: "The method is not allowed here"}
        text = f"{says.get(error.status_code, error.detail)}: {scope['method']} {scope['path']}"
        kind = _STATUS_KINDS.get(error.status_code, "api_error")
        document = error_document(kind, text, self._activity.request_id)
        headers = dict(error.headers or {}) | ({"connection": "close"} if self.is_last else {})
        await self._whole(error.status_code, json_bytes(document), headers)

    def _own(self, status: int) -> list[tuple[str, str]]:
        own = {"request-id": self._activity.request_id, **self._activity.headers}
        if status >= 400 and self._activity.has_run_code:
            # A client that tries again would run the code again.
            own["x-should-retry"] = "false"
        return list(own.items())

    async def _whole(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        headers = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


class _HangUp:
    """Cancels `scope` when the client is gone.

    Most requests are answered sooner than it begins to look: they do without the task that it takes.
    """

    def __init__(self, receive: Receive, scope: anyio.CancelScope, answer: _Answer) -> None:
        self._answer = answer
        self._receive = receive
        self._scope = scope
        self._task: asyncio.Task[None] | None = None
        self._later = asyncio.get_running_loop().call_later(_HANG_UP_SECONDS, self._begin)

    def end(self) -> None:
        self._later.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        # An answer that has been sent whole looks the same from here: who still has something to tidy up may do so.
        if not self._answer.is_complete:
            self._scope.cancel()
