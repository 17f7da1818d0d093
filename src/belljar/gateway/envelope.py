"""What every request has in common: its id, its body within the limit, its end when the client hangs up, and
the envelope in which whatever went wrong is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import structlog
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from belljar.errors import BelljarError, InvalidRequest, RequestTooLarge
from belljar.gateway.frame import frame, json_bytes
from belljar.gateway.telemetry import Telemetry
from belljar.wire.ids import new_id
from belljar.wire.messages import BLOCK_FORM, TEXT_FORM
from belljar.wire.resources import error_document

log = structlog.get_logger("belljar.gateway")

_ACTIVITY = "belljar.activity"
_HANG_UP_SECONDS = 0.1
_DRAIN_FACTOR = 4
_DRAIN_SECONDS = 10
_STATUS_KINDS = {400: "invalid_request_error", 404: "not_found_error", 405: "invalid_request_error"}


class ShuttingDown(BelljarError):
    """The server ends, and cut the request short."""

    status = 503


class ThreadUnsupported(InvalidRequest):
    """The caller wants the server to remember the conversation. SDKs know this answer, and send all of it."""

    details = {"error_code": "thread_unsupported_request"}  # noqa: RUF012 - read only


@dataclass
class Activity:
    """A request under way, as the log and the shutdown see it."""

    request_id: str
    what: str
    container_id: str | None = None
    has_run_code: bool = False
    is_cut_short: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer, whatever it will be."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class UnderWay:
    """The requests under way."""

    def __init__(self) -> None:
        self._activities: dict[str, Activity] = {}

    def __len__(self) -> int:
        return len(self._activities)

    @contextmanager
    def track(self, activity: Activity) -> Iterator[None]:
        self._activities[activity.request_id] = activity
        try:
            yield
        finally:
            del self._activities[activity.request_id]

    def cut_short(self) -> None:
        """Cancel every request, and name it in the log."""
        for activity in self._activities.values():
            log.warning(
                "cut short by the shutdown",
                request_id=activity.request_id,
                what=activity.what,
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
    names = [str(part) for part in first["loc"] if part not in {TEXT_FORM, BLOCK_FORM}]
    path = prefix + ".".join(names)
    return InvalidRequest(f"{path}: {first['msg']}" if path else str(first["msg"]))


class Envelope:
    """ASGI middleware around everything else. It alone reads bodies and answers errors."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, under_way: UnderWay, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry
        self._max_body_bytes = max_body_bytes
        self._under_way = under_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        activity = Activity(new_id("req"), f"{scope['method']} {scope['path']}")
        scope[_ACTIVITY] = activity
        answer = _Answer(send, activity)
        with self._under_way.track(activity):
            try:
                body = await self._read(scope, receive)
                if body is not None:
                    await self._run(scope, body, receive, answer, activity)
            except BelljarError as error:
                await answer.error(error)
            except HTTPException as error:
                await answer.http_error(error, scope)
            except RecursionError:
                await answer.error(InvalidRequest("The request is nested too deeply."))
            except Exception:  # the outermost boundary: logged once, here
                log.exception("a request failed", request_id=activity.request_id, what=activity.what)
                await answer.error(BelljarError("Internal server error; the server's log has the details."))
            finally:
                self._telemetry.request(scope.get("endpoint"), answer.status, time.perf_counter() - started)

    async def _run(
        self, scope: Scope, body: bytes, receive: Receive, answer: _Answer, activity: Activity
    ) -> None:
        """Run the application until it ends or the client hangs up; what fails is raised as it is."""
        once = _Once(body)
        watch = _HangUp(receive, activity.scope)
        failure: Exception | None = None
        with activity.scope:
            try:
                await self._app(scope, once.receive, answer.send)
            except Exception as error:  # noqa: BLE001 - raised below, where it is known whether it was cut short
                failure = error
            finally:
                watch.end()
        if activity.is_cut_short and not answer.is_complete:
            failure = ShuttingDown("The server is shutting down, and this request was cut short.")
        if failure is not None:
            raise failure

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None where the client hung up before it was complete."""
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        limit = self._max_body_bytes
        if announced.isdigit() and int(announced) > limit:
            await _drain(receive, limit * _DRAIN_FACTOR)
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            is_last = not message.get("more_body", False)
            if len(body) > limit:
                if not is_last:
                    await _drain(receive, limit * _DRAIN_FACTOR)
                raise self._too_large()
            if is_last:
                return bytes(body)

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(
            f"The request body is larger than the {self._max_body_bytes} bytes that are allowed."
        )


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
            if error.status == RequestTooLarge.status:
                headers["connection"] = "close"
            await self._whole(error.status, json_bytes(document), headers)
        elif self._is_stream and not self.is_complete:
            await self.send({"type": "http.response.body", "body": frame(document), "more_body": False})

    async def http_error(self, error: HTTPException, scope: Scope) -> None:
        says = {404: "There is no such endpoint", 405: "The method is not allowed here"}
        text = f"{says.get(error.status_code, error.detail)}: {scope['method']} {scope['path']}"
        kind = _STATUS_KINDS.get(error.status_code, "api_error")
        document = error_document(kind, text, self._activity.request_id)
        await self._whole(error.status_code, json_bytes(document), dict(error.headers or {}))

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

    def __init__(self, receive: Receive, scope: anyio.CancelScope) -> None:
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
        self._scope.cancel()


async def _drain(receive: Receive, most: int) -> None:
    """Read on for a while: a client that is still sending would see a broken connection, not our answer."""
    with anyio.move_on_after(_DRAIN_SECONDS):
        while most > 0:
            message = await receive()
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                return
            most -= len(message.get("body", b""))
