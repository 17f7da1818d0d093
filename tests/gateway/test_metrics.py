"""What an operator's Prometheus is told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import anyio
import httpx2
import pytest
from engines import SEARCH, Answer, Engine, found, search
from fakes import Keepers, open_placement, result, settings
from prometheus_client.parser import text_string_to_metric_families
from serving import Model, Refusal, Server, ask, code, serving, text

from belljar import errors
from belljar.gateway.routes import route_names, routes
from belljar.gateway.search import ErrorCode
from belljar.gateway.telemetry import Telemetry
from belljar.records import Limits, Status

REFERENCE = (Path(__file__).resolve().parents[2] / "docs" / "reference.md").read_text()


class Samples:
    """Every sample of one answer, by its name and labels."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def get(self, name: str, **labels: str) -> float:
        return self._samples.get((name, frozenset(labels.items())), 0.0)

    def all(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return self._samples

    def values(self, label: str) -> set[str]:
        return {value for _, labels in self._samples for name, value in labels if name == label}


def scraped(url: str) -> Samples:
    answer = httpx2.get(f"{url}/metrics", timeout=60)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Samples(answer.text)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that nobody else asks."""
    with serving(tmp_path_factory.mktemp("metrics"), preload={"bare": [], "more": ["decimal"]}) as server:
        yield server


def counted(url: str, name: str, *asked: Any, **labels: str) -> float:
    """By how much a sample grows with the requests `asked`, each (method, path, body)."""
    before = scraped(url).get(name, **labels)
    for method, path, body in asked:
        content = body if isinstance(body, str) else json.dumps(body)
        httpx2.request(method, url + path, content=content, timeout=60)
    return scraped(url).get(name, **labels) - before


def test_requests_are_counted_by_the_name_of_their_route(own: Server) -> None:
    name = "belljar_request_seconds_count"
    runs = [("POST", "/v1/executions", {"code": "1"})] * 3
    assert counted(own.url, name, *runs, route="POST /v1/executions", status="200") == 3
    assert counted(own.url, name, *runs, route="POST /v1/executions", status="400") == 0
    wrong = [("POST", "/v1/executions", "{")]
    assert counted(own.url, name, *wrong, route="POST /v1/executions", status="400") == 1
    unknown = [("GET", f"/v1/containers/{n}", "") for n in range(4)]
    assert counted(own.url, name, *unknown, route="GET /v1/containers/{id}", status="404") == 4
    assert counted(own.url, name, ("GET", "/secret", ""), route="other", status="404") == 1
    assert counted(own.url, name, ("PUT", "/health", ""), route="other", status="405") == 1
    seen = scraped(own.url)
    assert seen.values("route") <= {
        "POST /v1/executions",
        "GET /v1/containers/{id}",
        "GET /metrics",
        "other",
    }
    assert seen.values("process") == {"keeper", "zygote", "guest"}


def test_runs_are_counted_by_their_outcome(own: Server) -> None:
    name = "belljar_execution_seconds_count"
    for program, status in (("1", "completed"), ("1/0", "raised"), ("import sys; sys.exit(3)", "exited")):
        assert counted(own.url, name, ("POST", "/v1/executions", {"code": program}), status=status) == 1
    slow = ("POST", "/v1/executions", {"code": "import time; time.sleep(0.2)"})
    assert counted(own.url, "belljar_execution_seconds_sum", slow, status="completed") > 0.2
    # Made while the request waited, for limits that no parked session has.
    other = ("POST", "/v1/executions", {"code": "1", "limits": {"pids": 20}})
    assert counted(own.url, "belljar_sessions_opened_total", other, made="forked") == 1
    for process, lap in (("keeper", "session"), ("zygote", "fork"), ("guest", "guest")):
        assert counted(own.url, "belljar_lap_seconds_count", other, process=process, lap=lap) == 1


def test_batches_are_counted_line_by_line(own: Server) -> None:
    asked = ("POST", "/v1/executions/batch", '{"code": "1"}\n{"code": "2"}\n{')
    assert counted(own.url, "belljar_batch_lines_total", asked, answer="execution") == 2
    assert counted(own.url, "belljar_batch_lines_total", asked, answer="error") == 1
    assert scraped(own.url).get("belljar_batches") == 0


def test_what_there_is_now(own: Server) -> None:
    container = httpx2.post(f"{own.url}/v1/containers", timeout=60).json()["id"]
    body = {"code": "1", "container": container}
    assert httpx2.post(f"{own.url}/v1/executions", json=body, timeout=60).status_code == 200
    deadline = time.monotonic() + 60
    while True:  # parking follows when nothing runs
        seen = scraped(own.url)
        if all(seen.get("belljar_parked_sessions", tier=tier) for tier in ("bare", "more")):
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert seen.get("belljar_sessions_live") == 1
    assert seen.get("belljar_sessions_max") == 64
    assert seen.get("belljar_sessions_running") == seen.get("belljar_queue_waiting") == 0
    assert seen.get("belljar_keeper_sessions") >= 3
    assert seen.get("belljar_keeper_up") == seen.get("belljar_keeper_starts_total") == 1
    assert seen.get("belljar_zygote_generations") == seen.get("belljar_zygote_generations_begun_total") == 1
    for tier in ("bare", "more"):
        states = [
            seen.get("belljar_zygote_state", tier=tier, state=state)
            for state in ("warming", "ready", "failed")
        ]
        assert states == [0, 1, 0]
    level = httpx2.get(f"{own.url}/health").json()["isolation"]["level"]
    assert seen.get("belljar_isolation_info", level=level) == 1
    for process in ("process", "belljar_keeper_process"):
        assert seen.get(f"{process}_resident_memory_bytes") > 2**20
        assert seen.get(f"{process}_open_fds") > 3


def grown(url: str, ask_all: Callable[[], None]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """By how much each sample that only counts grows, but for times and for what the scrapes themselves are."""
    before = scraped(url).all()
    ask_all()
    after = scraped(url).all()
    return {
        sample: after[sample] - before.get(sample, 0)
        for sample in after
        if sample[0].startswith("belljar_")
        and sample[0].endswith(("_count", "_total"))
        and not sample[0].startswith(("belljar_keeper_", "belljar_idle_", "belljar_zygote_"))
        and ("route", "GET /metrics") not in sample[1]
        and after[sample] != before.get(sample, 0)
    }


def one(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_a_request_with_two_turns_and_one_run_counts_exactly_that(tmp_path: Path, model: Model) -> None:
    with serving(tmp_path, upstream=f"anthropic:{model.url}", preload={}, parked=0) as server:
        model.play([code("print(6 * 7)")], [text("It is 42.")])
        body = ask("Go.")
        url = f"{server.url}/v1/messages"
        counts = grown(
            server.url, lambda: httpx2.post(url, json=body, timeout=60).raise_for_status() and None
        )
        assert counts == {
            one("belljar_request_seconds_count", route="POST /v1/messages", status="200"): 1,
            one("belljar_turn_seconds_count"): 2,
            one("belljar_upstream_first_event_seconds_count"): 2,
            one("belljar_tokens_total", kind="input"): 200,
            one("belljar_tokens_total", kind="output"): 20,
            one("belljar_tokens_total", kind="cache_read"): 2,
            one("belljar_execution_seconds_count", status="completed"): 1,
            one("belljar_sessions_opened_total", made="forked"): 1,
            one("belljar_queue_seconds_count"): 1,
            one("belljar_lap_seconds_count", process="keeper", lap="session"): 1,
            one("belljar_lap_seconds_count", process="zygote", lap="fork"): 1,
            one("belljar_lap_seconds_count", process="guest", lap="guest"): 1,
            one("belljar_lap_seconds_count", process="guest", lap="first_result"): 1,
        }
        # What the model server refuses counts as an error and not as a turn.
        model.play(Refusal(429, b'{"error": {"type": "rate_limit_error", "message": "later"}}'))
        counts = grown(server.url, lambda: httpx2.post(url, json=body, timeout=60) and None)
        assert counts == {
            one("belljar_request_seconds_count", route="POST /v1/messages", status="429"): 1,
            one("belljar_upstream_errors_total", kind="rate_limit_error"): 1,
        }


STATUSES = {
    *map(str, (200, 400, 401, 402, 403, 404, 405, 409, 410, 413, 422, 429, 500, 501, 502, 503, 504, 529))
}
ERRORS = {
    *(
        "invalid_request_error",
        "authentication_error",
        "billing_error",
        "permission_error",
        "not_found_error",
    ),
    *(
        "conflict_error",
        "request_too_large",
        "rate_limit_error",
        "timeout_error",
        "overloaded_error",
        "api_error",
    ),
}
LABELS = {
    "status": STATUSES | {"4xx", "5xx", "hung_up", *get_args(Status)},
    "kind": ERRORS | {"input", "output", "cache_creation", "cache_read", "thinking"},
    "backend": {"searxng", "brave", "tavily", "none"},
    "outcome": {"found", *get_args(ErrorCode)},
    "made": {"parked", "forked"},
    "process": {"keeper", "zygote", "guest"},
    "lap": {"session", "fork", "guest", "first_result"},
    "answer": {"execution", "error"},
    "tier": {"bare"},
    "state": {"warming", "ready", "failed"},
    "level": {"full", "limited", "reduced"},
}


def test_no_label_has_values_that_others_choose(tmp_path: Path, model: Model) -> None:
    with (
        Engine() as engine,
        serving(
            tmp_path,
            upstream=f"anthropic:{model.url}",
            search=f"searxng:{engine.url}",
            preload={"bare": []},
        ) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        for n, status in enumerate((400, 418, 429, 451, 499, 500, 529, 555, 599, 600, 999)):
            error = json.dumps({"error": {"type": f"marker_{n}", "message": f"marker-{n}"}}).encode()
            model.play(Refusal(status, error))
            answer = http.post("/v1/messages", json=ask("Go.", model=f"marker-model-{n}"))
            assert answer.status_code == (status if status < 600 else 502)
            for path in (f"/marker-{n}", f"/v1/containers/marker-{n}", f"/v1/models/marker-{n}"):
                http.get(path)
            http.request(f"MARKER{n}", "/health")
            body = {"code": f"import sys; sys.exit({n})", "container": f"marker-{n}"}
            http.post("/v1/executions", json=body)
            engine.play(Answer(b"", status if status < 600 else 400), found([]))
            model.play([search(f"marker-{n}"), search("b", "s2")], [text("Enough.")])
            http.post("/v1/messages", json=ask("Go.", tools=[SEARCH]))
            http.post("/v1/messages", json=ask("Go.", tools=[{"type": f"marker-{n}", "name": "x"}]))
        http.post("/v1/executions/batch", content='{"code": "1"}\n{"code": "marker"')
        seen = scraped(server.url)
        assert "marker" not in http.get("/metrics").text
    for label, allowed in LABELS.items():
        assert seen.values(label), label
        assert seen.values(label) <= allowed, label
    assert {"4xx", "5xx"} <= seen.values("status")
    known = set(route_names(routes()).values()) | {"other"}
    assert seen.values("route") <= known
    assert {name for _, labels in seen.all() for name, _ in labels} == {
        *LABELS,
        *("route", "le", "version", "python"),
    }


def test_every_metric_is_described(own: Server) -> None:
    families = scraped(own.url).families
    assert len(families) > 20
    missing = [name for name in families if f"`{name}" not in REFERENCE]
    assert missing == []


@pytest.mark.anyio
async def test_the_queue_and_a_keeper_that_is_gone(tmp_path: Path) -> None:
    telemetry, keepers = Telemetry(), Keepers()

    async def seen() -> Samples:
        return Samples((await telemetry.exposition(placement)).decode())

    changed = settings(tmp_path, max_sessions=1, queue_seconds=0.05, max_queued=1)
    async with open_placement(changed, keepers.start, telemetry) as placement:
        first = await placement.create(Limits(), "a")
        assert (await seen()).get("belljar_queue_seconds_count") == 1
        async with placement.use(first.id):
            assert (await seen()).get("belljar_sessions_running") == 1
            with pytest.raises(errors.Overloaded):
                await placement.create(Limits(), "a")
            async with anyio.create_task_group() as tasks:

                async def wait() -> None:
                    with pytest.raises((errors.Overloaded, errors.RateLimited)):
                        await placement.create(Limits(), "a")

                for _ in range(3):
                    tasks.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                assert (await seen()).get("belljar_queue_waiting") == 1
        now = await seen()
        assert now.get("belljar_queue_refused_total", status="429") == 1
        assert now.get("belljar_queue_refused_total", status="529") == 3
        assert now.get("belljar_queue_seconds_count") == 1
        assert now.get("belljar_keeper_up") == 1

        keepers.all[0].lost.set()
        assert (await seen()).get("belljar_keeper_up") == 0
        await anyio.wait_all_tasks_blocked()
        now = await seen()
        assert now.get("belljar_keeper_up") == 1
        assert now.get("belljar_keeper_starts_total") == 2


@pytest.mark.anyio
async def test_a_parked_session_is_told_from_one_that_was_forked(tmp_path: Path) -> None:
    telemetry = Telemetry()
    laps = {"parked.fork": 1.0, "parked.guest": 5.0, "session": 0.04, "run": 2.0, "first_result": 1.0}
    telemetry.execution(replace(result(), laps=laps))
    telemetry.execution(replace(result(), laps={"run": 2.0, "first_result": 1.0}))
    async with open_placement(settings(tmp_path), Keepers().start, telemetry) as placement:
        seen = Samples((await telemetry.exposition(placement)).decode())
    assert seen.get("belljar_sessions_opened_total", made="parked") == 1
    assert seen.get("belljar_sessions_opened_total", made="forked") == 0
    assert seen.get("belljar_lap_seconds_sum", process="guest", lap="guest") == 0.005
    assert seen.get("belljar_lap_seconds_count", process="guest", lap="first_result") == 2
