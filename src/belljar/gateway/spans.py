"""The spans of a request, as OpenTelemetry has them: the request, each turn of the model below it, each execution below
the turn that has asked for it, and below that the making of its session and the run.

The one module that needs the extra `otel`. Names are those of OpenTelemetry's semantic conventions (http.*, gen_ai.*),
where it has any, and else begin with `belljar.`. Spans have no content and no words of errors.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import anyio.to_thread
import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Span as AnySpan
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import belljar
from belljar import results
from belljar.errors import BelljarError
from belljar.gateway.timeline import laps_of
from belljar.gateway.tools import Ran
from belljar.gateway.tracing import Headers
from belljar.gateway.upstream.server import shown_url

log = structlog.get_logger("belljar.gateway")

R = TypeVar("R", Ran, list[Ran])

_MOST_WAITING = 4096
"""Spans that the collector has not taken yet; what comes then is dropped."""
_TOGETHER = 512
_TOGETHER_SECONDS = 1.0
_EXPORT_SECONDS = 10.0
"""For one batch, with all attempts."""
_LAST_SECONDS = 5.0
"""At the server's end, for what is left."""
_NAME_CHARS = 200
"""Of what a client or a model server calls something."""
_TOKENS = {
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
}
_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
"""The conventions count what came from a cache among the input, and the Messages API beside it."""


class Tracing:
    """Makes spans. Made by `open_spans`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def begin(self, method: str, headers: Headers, request_id: str) -> Trace:
        """The span of a request, below the client's own, which `headers` name."""
        parent = _PROPAGATOR.extract(dict(headers), Context())
        attributes = {"http.request.method": method, "belljar.request_id": request_id}
        span = self._tracer.start_span(method, parent, SpanKind.SERVER, attributes)
        return Trace(self._tracer, span)


class Trace:
    """The spans of one request."""

    def __init__(self, tracer: Tracer, span: AnySpan) -> None:
        self._tracer = tracer
        self._span = span
        self._own = self._asking = set_span_in_context(span, Context())

    @property
    def id(self) -> str:
        return f"{self._span.get_span_context().trace_id:032x}"

    @property
    def headers(self) -> Headers:
        """For what is asked of other servers outside of a turn."""
        return _headers(self._own)

    def end(self, route: str, status: int, **facts: str | int) -> None:
        """The request has ended; `status` is 0 where no answer began."""
        span = self._span
        if route.startswith(("GET ", "POST ", "DELETE ")):
            span.update_name(route)
            span.set_attribute("http.route", route.partition(" ")[2])
        if status:
            span.set_attribute("http.response.status_code", status)
        if not status or status >= 500:
            _fail(span, str(status) if status else "hung_up")
        for name, value in facts.items():
            span.set_attribute(f"belljar.{name}", value)
        span.end()

    @contextmanager
    def turn(self, provider: str, request: dict[str, Any]) -> Iterator[Turn]:
        """A block in which the upstream is asked once. Executions from then on lie below it."""
        model = _name(request["model"])
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.request.max_tokens": request["max_tokens"],
        }
        span = self._tracer.start_span(f"chat {model}", self._own, SpanKind.CLIENT, attributes)
        self._asking = set_span_in_context(span, Context())
        with _ended(span):
            yield Turn(span, _headers(self._asking))

    async def execution(self, tools: Sequence[str], running: Coroutine[Any, Any, R]) -> R:
        """What `running` comes to, with a span: a run of code, or of calls of several tools side by side."""
        started = time.time_ns()
        tool = ", ".join(dict.fromkeys(tools))
        attributes: dict[str, str | int] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool,
            "belljar.calls": len(tools),
        }
        span = self._tracer.start_span(
            f"execute_tool {tool}", self._asking, SpanKind.INTERNAL, attributes, start_time=started
        )
        with _ended(span):
            ran = await running
            if span.is_recording():
                _tell(span, (ran[0] if isinstance(ran, list) else ran).result)
                self._laps(span, started, (ran[0] if isinstance(ran, list) else ran).result.laps)
        return ran

    def _laps(self, parent: AnySpan, started: int, laps: dict[str, float]) -> None:
        """The keeper's own times, from the execution's begin on."""
        spans: list[AnySpan] = []
        for lap in laps_of(laps):
            above = parent if lap.below is None else spans[lap.below]
            attributes = {} if lap.made is None else {"belljar.session.made": lap.made}
            at = started + _nanoseconds(lap.begins)
            below = set_span_in_context(above, Context())
            span = self._tracer.start_span(lap.kind, below, SpanKind.INTERNAL, attributes, start_time=at)
            span.end(at + _nanoseconds(lap.taken))
            spans.append(span)


class Turn:
    """The span of one call of the upstream, and the headers that name it."""

    def __init__(self, span: AnySpan, headers: Headers) -> None:
        self.headers = headers
        self._span = span

    def answered(self, message: dict[str, Any], usage: object) -> None:
        """The upstream's message, whole, and what it counts, or else what was estimated."""
        if not self._span.is_recording():
            return
        for name, attribute in _TOKENS.items():
            if count := _count(usage, name):
                self._span.set_attribute(attribute, count)
        if read := sum(_count(usage, name) for name in _INPUT):
            self._span.set_attribute("gen_ai.usage.input_tokens", read)
        if reason := message.get("stop_reason"):
            self._span.set_attribute("gen_ai.response.finish_reasons", [_name(reason)])
        for name in ("id", "model"):
            if value := message.get(name):
                self._span.set_attribute(f"gen_ai.response.{name}", _name(value))


_PROPAGATOR = TraceContextTextMapPropagator()


def _headers(context: Context) -> Headers:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context)
    return tuple(carrier.items())


def _tell(span: AnySpan, result: results.Result) -> None:
    outcome, usage = result.outcome, result.usage
    span.set_attribute("belljar.outcome", outcome.status)
    span.set_attribute("belljar.return_code", result.return_code)
    span.set_attribute("belljar.wall_seconds", usage.wall_seconds)
    span.set_attribute("belljar.cpu_seconds", usage.cpu_seconds)
    span.set_attribute("belljar.peak_memory_bytes", usage.peak_memory_bytes)
    if outcome.limit is not None:
        span.set_attribute("belljar.limit", outcome.limit.name)
    for name, taken in result.laps.items():
        span.set_attribute(f"belljar.lap.{name}", taken)


@contextmanager
def _ended(span: AnySpan) -> Iterator[None]:
    """A block with whose end the span ends, and which says how it failed."""
    try:
        yield
    except BelljarError as error:
        _fail(span, error.kind)
        raise
    except BaseException as error:
        _fail(span, type(error).__name__)
        raise
    finally:
        span.end()


def _fail(span: AnySpan, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _name(value: object) -> str:
    return str(value)[:_NAME_CHARS]


def _count(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _nanoseconds(milliseconds: float) -> int:
    return int(milliseconds * 1_000_000)


class _Outbox(SpanProcessor):
    """Sends spans from a thread of its own. Nobody waits for it: what it cannot send is dropped, and that is said once,
    until the collector takes some again."""

    def __init__(self, exporter: SpanExporter, shown: str) -> None:
        self._exporter = exporter
        self._shown = shown
        self._waiting: deque[ReadableSpan] = deque()
        self._is_full = threading.Event()
        """There is a whole batch, or an end."""
        self._is_over = False
        self._dropped = 0
        self._is_failing = False
        self._thread = threading.Thread(target=self._send_all, name="spans", daemon=True)
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing: it is sent when it has ended."""

    def on_end(self, span: ReadableSpan) -> None:
        context = span.context
        if context is None or not context.trace_flags.sampled:
            return
        if len(self._waiting) >= _MOST_WAITING or self._is_over:
            self._dropped += 1
            return
        self._waiting.append(span)
        if len(self._waiting) >= _TOGETHER:
            self._is_full.set()

    def shutdown(self) -> None:
        """Send what is left, as far as the time goes."""
        self._is_over = True
        self._is_full.set()
        self._thread.join(_LAST_SECONDS)
        self._exporter.shutdown()  # which ends what it waits for
        self._thread.join(1)

    def _send_all(self) -> None:
        while self._waiting or not self._is_over:
            if len(self._waiting) < _TOGETHER and not self._is_over:
                self._is_full.wait(_TOGETHER_SECONDS)
            self._is_full.clear()
            batch = [self._waiting.popleft() for _ in range(min(_TOGETHER, len(self._waiting)))]
            if batch:
                self._told(self._sent(batch), len(batch))

    def _sent(self, batch: list[ReadableSpan]) -> bool:
        try:
            return self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:  # noqa: BLE001 - whatever it is, these are not sent, and the next ones perhaps
            return False

    def _told(self, is_sent: bool, count: int) -> None:
        if not is_sent:
            self._dropped += count
            if not self._is_failing:
                self._is_failing = True
                log.warning("the collector takes no spans, and they are dropped", collector=self._shown)
            return
        if self._dropped:
            log.warning("spans were dropped", collector=self._shown, spans=self._dropped)
        self._is_failing, self._dropped = False, 0


@asynccontextmanager
async def open_spans(endpoint: str) -> AsyncIterator[Tracing]:
    """Spans go to the collector there, which is named with or without `/v1/traces`, by OTLP over HTTP; the block's end
    sends what is left."""
    base = endpoint.rstrip("/").removesuffix("/v1/traces")
    exporter = OTLPSpanExporter(f"{base}/v1/traces", timeout=_EXPORT_SECONDS)
    service = os.environ.get("OTEL_SERVICE_NAME") or "belljar"
    resource = Resource.create({"service.name": service, "service.version": belljar.__version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(_Outbox(exporter, shown_url(endpoint)))
    try:
        yield Tracing(provider.get_tracer("belljar", belljar.__version__))
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(provider.shutdown)
