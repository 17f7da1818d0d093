"""What every request has in common: its id, its body within the limit, its end when the client hangs up, and
the envelope in which whatever went wrong is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import structlog
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from belljar.errors import BelljarError, BudgetSpent, Conflict, InvalidRequest, StoreFailed
from belljar.gateway.access import Access, is_open
from belljar.gateway.activity import ACTIVITY, Activity, UnderWay
from belljar.gateway.bodies import Body, Held, InHand, Limit, Once, Stream
from belljar.gateway.frame import frame, json_bytes
from belljar.gateway.telemetry import Telemetry
from belljar.gateway.timeline import Timelines
from belljar.gateway.tracing import passed_on
from belljar.gateway.usage import Ledger
from belljar.logged import REQUEST_ID
from belljar.wire.ids import new_id
from belljar.wire.messages import FORMS
from belljar.wire.resources import error_document

if TYPE_CHECKING:
    from belljar.gateway.spans import Tracing

log = structlog.get_logger("belljar.gateway")

_HANG_UP_SECONDS = 0.1
_STATUS_KINDS = {400: "invalid_request_error", 404: "not_found_error", 405: "invalid_request_error"}


class ShuttingDown(BelljarError):
    """The server ends, and cut the request short."""

    status = 503


class ThreadUnsupported(InvalidRequest):
    """The caller wants the server to remember the conversation. SDKs know this answer, and send all of it."""

    details = {"error_code": "thread_unsupported_request"}  # noqa: RUF012 - read only


def envelope(error: BelljarError, request_id: str) -> dict[str, Any]:
    """The API's own form of an engine error."""
    return error_document(error.kind, str(error), request_id, getattr(error, "details", None))


def from_validation(error: ValidationError, prefix: str = "") -> InvalidRequest:
    """The first thing that is wrong, by its path: `messages.0.content: Field required`."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    names = [str(part) for part in first["loc"] if part not in FORMS]
    path = prefix + ".".join(names)
    return InvalidRequest(f"{path}: {first['msg']}" if path else str(first["msg"]))


Streamed = Callable[[str, str], Limit | None]
"""The limit of the body of a method and path that is read as it comes in; None where it is read whole."""


class Envelope:
    """ASGI middleware around everything else. It alone answers errors, and reads bodies: but for those of the methods
    and paths that are `streamed`, which have limits of their own and are read by the application as they come in.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        max_body_bytes: int,
        in_hand: InHand,
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
        self._whole_limit = Limit(
            max_body_bytes,
            f"The request body has more than the {max_body_bytes} bytes that are allowed (BELLJAR_MAX_BODY_BYTES).",
        )
        self._in_hand = in_hand
        self._streamed = streamed
        self._under_way = under_way
        self._silence_seconds = silence_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        activity = Activity(new_id("req"), f"{scope['method']} {_loggable(scope['path'])}")
        scope[ACTIVITY] = activity
        REQUEST_ID.set(activity.request_id)  # in the request's own task
        if self._tracing is not None:
            parent = passed_on(Headers(scope=scope))
            activity.trace = self._tracing.begin(scope["method"], parent, activity.request_id)
        answer = _Answer(send, activity)
        streamed_limit = self._streamed(scope["method"], scope["path"])
        body = Body(scope, receive, streamed_limit or self._whole_limit, self._silence_seconds)
        with self._under_way.track(activity):
            try:
                try:
                    activity.client = await self._access.admit(scope, activity.headers)
                    # Whoever needs no key takes up nobody's share.
                    tenant = "" if is_open(scope["path"]) else activity.client.tenant
                    with self._in_hand.holding(tenant) as held:
                        if streamed_limit is None:
                            await self._run_on_whole(scope, body, held, receive, answer, activity)
                        else:
                            body.check_head()
                            held.hold_stream()
                            await self._run(scope, Stream(body, activity.scope).receive, answer, activity)
                except (BelljarError, HTTPException):
                    if not activity.is_cut_short and not answer.has_started:
                        answer.is_last = await body.drain()
                    raise
            except BelljarError as error:
                if isinstance(error, StoreFailed):
                    log.error("what is kept cannot be read or written", error=str(error.__cause__ or error))  # noqa: TRY400 - a full disk takes no tracebacks
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
        self, scope: Scope, body: Body, held: Held, receive: Receive, answer: _Answer, activity: Activity
    ) -> None:
        """Run the application on a body that has come whole, until it ends or the client hangs up."""
        whole = await body.whole(held)
        if whole is None:
            return
        watch = _HangUp(receive, activity.scope, answer)
        try:
            await self._run(scope, Once(whole).receive, answer, activity)
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


def _loggable(path: str) -> str:
    """The path of a request, without the name that somebody has given to a file."""
    container, files, _ = path.partition("/files/")
    return f"{container}{files}…" if files and container.startswith("/v1/containers/") else path


@contextmanager
def _apart(what: str) -> Iterator[None]:
    """A block whose failure keeps nothing that stands behind it from happening."""
    try:
        yield
    except Exception:  # the outermost boundary of what comes after an answer
        log.exception("what a request has used was not told everywhere", where=what)


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
