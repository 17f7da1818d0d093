"""What an operator's Prometheus is told: counts and times as they happen, and what there is at the moment it asks.

What is counted for each request is resolved ahead or kept by its key: the library looks up labels under a lock.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

import belljar
from belljar import errors, results, states
from belljar.gateway.placement import Placement
from belljar.gateway.upstream import Event
from belljar.gateway.usage import Meter
from belljar.records import Status

_OTHER = "other"
"""The route of what reached no endpoint."""
_HUNG_UP = "hung_up"
"""The status of a request whose client was gone before an answer began."""
_STATUSES = frozenset(
    {200, 304, 400, 401, 402, 403, 404, 405, 409, 410, 413, 422, 429, 500, 501, 502, 503, 504, 529}
)
_REQUEST_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_RUN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LAP_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
_TURN_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_WAIT_SECONDS = (0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_LAPS = {"session": "keeper", "fork": "zygote", "guest": "guest", "first_result": "guest"}
"""The laps that are told, and whose work each is."""
_REFUSALS = (errors.RateLimited, errors.Overloaded)
_STATES = get_args(states.TierState)


class Telemetry:
    """The numbers of one gateway."""

    def __init__(self) -> None:
        # When each series began: many lines that nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._names: Mapping[Any, str] = {}
        requests = Histogram(
            "belljar_request_seconds",
            "Requests, and how long each took to the end of its answer; `hung_up` where the client was gone "
            "before one began.",
            ("route", "status"),
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self._requests = requests
        self._request_children: dict[tuple[object, int], Histogram] = {}
        executions = Histogram(
            "belljar_execution_seconds",
            "Runs of code by the status of their outcome, and how long each ran, those that make pictures "
            "smaller among them.",
            ("status",),
            buckets=_RUN_SECONDS,
            registry=self._registry,
        )
        self._executions = {status: executions.labels(status) for status in get_args(Status)}
        laps = Histogram(
            "belljar_lap_seconds",
            "Steps of a run, and of making its session, ahead or not: `session` until there was one, `fork` and "
            "`guest` of making it, `first_result` from the code's start to its first output.",
            ("process", "lap"),
            buckets=_LAP_SECONDS,
            registry=self._registry,
        )
        self._laps = [(name, f"parked.{name}", laps.labels(process, name)) for name, process in _LAPS.items()]
        sessions = Counter(
            "belljar_sessions_opened",
            "Sessions that runs began with: `parked`, or `forked` while the request waited.",
            ("made",),
            registry=self._registry,
        )
        self._parked, self._forked = sessions.labels("parked"), sessions.labels("forked")
        self._waits = Histogram(
            "belljar_queue_seconds",
            "How long those who got a place for a session had waited for it.",
            buckets=_WAIT_SECONDS,
            registry=self._registry,
        )
        refusals = Counter(
            "belljar_queue_refused",
            "Requests, and lines of batches, that got no place for a session.",
            ("status",),
            registry=self._registry,
        )
        self._refusals = {kind: refusals.labels(str(kind.status)) for kind in _REFUSALS}
        self.batches = Gauge("belljar_batches", "Batches under way.", registry=self._registry)
        lines = Counter(
            "belljar_batch_lines",
            "Lines of batches that were answered, with an `execution` or an `error`.",
            ("answer",),
            registry=self._registry,
        )
        self.batch_executions, self.batch_errors = lines.labels("execution"), lines.labels("error")
        self._searches = Counter(
            "belljar_searches",
            "Web searches by what they came to: `found`, or an error code of the API.",
            ("backend", "outcome"),
            registry=self._registry,
        )
        self._turns = Histogram(
            "belljar_turn_seconds",
            "Calls of the upstream, and how long each took to its end; those that failed are not among them.",
            buckets=_TURN_SECONDS,
            registry=self._registry,
        )
        self._first_events = Histogram(
            "belljar_upstream_first_event_seconds",
            "How long the upstream took to the first event of a turn.",
            buckets=_TURN_SECONDS,
            registry=self._registry,
        )
        self._upstream_errors = Counter(
            "belljar_upstream_errors",
            "Turns that the upstream refused or broke off, by the type of the error.",
            ("kind",),
            registry=self._registry,
        )
        self.turns_estimated = Counter(
            "belljar_turns_estimated",
            "Turns of which tokens were estimated, for the upstream had not counted them.",
            registry=self._registry,
        )
        tokens = Counter(
            "belljar_tokens",
            "Tokens of messages, as the upstream counts them, or estimated; `thinking` is part of `output`.",
            ("kind",),
            registry=self._registry,
        )
        kinds = ("input", "output", "cache_creation", "cache_read", "thinking")
        self._tokens = [(f"{kind}_tokens", tokens.labels(kind)) for kind in kinds]
        self._keeper_starts = Counter(
            "belljar_keeper_starts", "How often a keeper came up.", registry=self._registry
        )
        ProcessCollector(registry=self._registry)
        self._now = _Now()
        self._registry.register(self._now)
        ProcessCollector("belljar_keeper", pid=lambda: self._now.keeper_pid, registry=self._registry)

    def name_routes(self, names: Mapping[Any, str]) -> None:
        """What each endpoint is called: there are as many as these, and not as many as paths."""
        self._names = names

    def route(self, endpoint: object, status: int) -> str:
        """What the endpoint of a request with this status is called."""
        # A path with another method has found an endpoint too, which was not called.
        return self._names.get(endpoint, _OTHER) if status != 405 else _OTHER

    def request(self, endpoint: object, status: int, seconds: float) -> None:
        """A request has ended; `status` is 0 where no answer began."""
        child = self._request_children.get((endpoint, status))
        if child is None:
            child = self._requests.labels(self.route(endpoint, status), _shown(status))
            self._request_children[endpoint, status] = child
        child.observe(seconds)

    def execution(self, result: results.Result) -> None:
        """Code has run, however it ended."""
        self._executions[result.outcome.status].observe(result.usage.wall_seconds)
        laps = result.laps
        for name, ahead, child in self._laps:
            if (taken := laps.get(name, laps.get(ahead))) is not None:
                child.observe(taken / 1000)
        if "session" in laps:
            (self._parked if "parked.guest" in laps else self._forked).inc()

    def search(self, backend: str, outcome: str) -> None:
        """A use of the web search was answered; `backend` is `none` where there is none."""
        self._searches.labels(backend, outcome).inc()

    def used(self, meter: Meter) -> None:
        """What a request has used of its upstream."""
        if meter.turns:
            for name, child in self._tokens:
                child.inc(getattr(meter, name))

    async def turn(self, stream: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """The events of one call of the upstream, timed."""
        started = time.perf_counter()
        has_begun = False
        async with aclosing(stream) as events:  # type: ignore[type-var]
            try:
                async for event in events:
                    if not has_begun:
                        has_begun = True
                        self._first_events.observe(time.perf_counter() - started)
                    yield event
            except errors.UpstreamError as error:
                self._upstream_errors.labels(error.kind).inc()
                raise
        self._turns.observe(time.perf_counter() - started)

    @contextmanager
    def queued(self) -> Iterator[None]:
        """A block in which a request waits for its place."""
        started = time.perf_counter()
        try:
            yield
        except _REFUSALS as error:
            self._refusals[type(error)].inc()
            raise
        self._waits.observe(time.perf_counter() - started)

    def went_in_at_once(self) -> None:
        """A request has found its place free."""
        self._waits.observe(0.0)

    def keeper_started(self) -> None:
        self._keeper_starts.inc()

    async def exposition(self, placement: Placement) -> bytes:
        """Everything in Prometheus' text format, version 0.0.4."""
        self._now.look(placement, await placement.state())
        return generate_latest(self._registry)


def _shown(status: int) -> str:
    """A status as a label. An upstream's refusal has any that it likes, and there are not to be series for all."""
    if not status:
        return _HUNG_UP
    return str(status) if status in _STATUSES else f"{status // 100}xx"


class _Now(Collector):
    """What there is, as of the last look."""

    def __init__(self) -> None:
        self.keeper_pid = 0
        """0, which no process has, where there is no keeper."""
        self._families: list[Metric] = []

    def collect(self) -> list[Metric]:
        return self._families

    def look(self, placement: Placement, state: states.State | None) -> None:
        self.keeper_pid = state.pid if state is not None else 0
        self._families = [*_of_gateway(placement), *_of_keeper(placement.tiers, state), *_of_runtimes(state)]


def _of_gateway(placement: Placement) -> Iterator[Metric]:
    about, load = placement.description, placement.load
    yield InfoMetricFamily(
        "belljar_build",
        "The version, and that of the Python that code runs on.",
        {"version": belljar.__version__, "python": about.python},
    )
    yield InfoMetricFamily(
        "belljar_isolation", "The isolation level of the jail here.", {"level": about.isolation.level}
    )
    for name, what, value in (
        ("belljar_sessions_live", "Containers whose session is live.", load.live),
        ("belljar_sessions_running", "Containers that a request is running code in.", load.running),
        ("belljar_sessions_max", "The most of them, `BELLJAR_MAX_SESSIONS`.", load.most),
        ("belljar_containers", "Containers, asleep or not.", load.containers),
        ("belljar_containers_asleep", "Containers without a session, whose files are kept.", load.asleep),
        ("belljar_queue_waiting", "Requests that wait for a place for a session.", load.waiting),
    ):
        yield GaugeMetricFamily(name, what, value)


def _of_runtimes(state: states.State | None) -> Iterator[Metric]:
    built = state.runtimes if state is not None else {}
    states = GaugeMetricFamily(
        "belljar_runtime_state",
        "1 for the state of a runtime that was built, and is in memory or did not come up, 0 for the others.",
        labels=("runtime", "state"),
    )
    sessions = GaugeMetricFamily(
        "belljar_runtime_sessions", "Sessions of a runtime that was built, by its name.", labels=("runtime",)
    )
    for name, now in built.items():
        sessions.add_metric((name,), now.sessions)
        for possible in _STATES:
            states.add_metric((name, possible), now.state == possible)
    yield states
    yield sessions


def _of_keeper(tiers: list[states.Tier], state: states.State | None) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "belljar_keeper_up", "1 while there is a keeper, and it answers.", state is not None
    )
    states = GaugeMetricFamily(
        "belljar_zygote_state",
        "1 for the state that the zygote of a tier of the default runtime is in, 0 for the others.",
        labels=("tier", "state"),
    )
    for tier in tiers:
        for name in _STATES:
            states.add_metric((tier.name, name), tier.state == name)
    yield states
    if state is None:
        return
    parked = GaugeMetricFamily(
        "belljar_parked_sessions",
        "Sessions of the default runtime that wait ready for a request.",
        labels=("tier",),
    )
    for name, count in state.parked.items():
        parked.add_metric((name,), count)
    yield parked
    yield GaugeMetricFamily(
        "belljar_keeper_sessions",
        "All sessions that the keeper has: live, parked, being made and being ended.",
        state.sessions,
    )
    yield GaugeMetricFamily(
        "belljar_zygote_generations",
        "Chains of zygotes that live: the present one, and those that wait for their last guest.",
        state.generations,
    )
    yield CounterMetricFamily(
        "belljar_zygote_generations_begun", "Chains of zygotes that this keeper has begun.", state.begun
    )
    for name, what, value in (
        (
            "belljar_idle_offered",
            "Idle sessions whose memory was offered to the machine.",
            state.idle_offered,
        ),
        ("belljar_idle_given_back_bytes", "Bytes that the machine took of it.", state.idle_given_back_bytes),
        ("belljar_idle_failed", "Idle sessions whose memory could not be offered.", state.idle_failed),
    ):
        yield CounterMetricFamily(name, what, value)
