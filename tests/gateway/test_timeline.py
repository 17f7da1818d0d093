"""What a request did and when, asked for by its id; what a container holds; output while it happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from serving import Events, Model, Refusal, Stall, ask, bash, code, said, sse, text
from test_access import until
from test_client_tools import TOOLS
from test_tools import editor, offering

from belljar.gateway.access import Client
from belljar.gateway.activity import UnderWay, activity_of
from belljar.gateway.bodies import InHand
from belljar.gateway.envelope import Envelope
from belljar.gateway.timeline import MOST_KEPT, MOST_STEPS, Kept, Timeline, Timelines, laps_of
from belljar.gateway.turn import events_of
from belljar.gateway.usage import Meter
from belljar.wire.resources import RequestStep


def kinds(document: dict[str, list[dict[str, object]]]) -> list[object]:
    return [step["kind"] for step in document["steps"]]


def test_turns_and_executions_of_a_message(http: httpx2.Client, model: Model) -> None:
    model.play([code("import time; time.sleep(0.05); print(1)")], [text("Done.")])
    answer = http.post("/v1/messages", json=ask("go"))
    told = http.get(f"/v1/requests/{answer.headers['request-id']}").json()
    assert told["id"] == answer.headers["request-id"]
    assert (told["type"], told["what"], told["state"], told["status"]) == (
        "request",
        "POST /v1/messages",
        "ended",
        200,
    )
    assert told["model"] == "model-1"
    assert told["container"] == answer.json()["container"]["id"]
    assert told["is_whole"] is True
    assert [kind for kind in kinds(told) if kind not in {"session", "fork"}] == [
        "turn",
        "execution",
        "run",
        "turn",
    ]
    turn, execution, *below, last = told["steps"]
    assert (turn["name"], turn["input_tokens"], turn["output_tokens"], turn["stop_reason"]) == (
        "model-1",
        101,
        10,
        "tool_use",
    )
    assert (execution["name"], execution["below"], execution["outcome"]) == ("code_execution", 0, "completed")
    assert "limit" not in execution
    run = next(step for step in below if step["kind"] == "run")
    assert run["below"] == 1
    assert run["milliseconds"] >= 50
    assert execution["begins_ms"] <= run["begins_ms"]
    assert last["stop_reason"] == "end_turn"
    assert told["milliseconds"] >= last["begins_ms"] + last["milliseconds"]
    assert told["usage"]["turns"] == 2
    assert told["usage"]["executions"] == 1
    assert (told["usage"]["input_tokens"], told["usage"]["cache_read_tokens"]) == (200, 2)


def test_an_execution_has_its_limit(http: httpx2.Client) -> None:
    answer = http.post("/v1/executions", json={"code": "while True: pass", "timeout_seconds": 0.2})
    told = http.get(f"/v1/requests/{answer.headers['request-id']}").json()
    step = told["steps"][0]
    assert (step["kind"], step["outcome"], step["limit"]) == ("execution", "timed_out", "timeout_seconds")
    assert told["model"] is None


def test_a_request_under_way_is_seen_as_far_as_it_has_come(http: httpx2.Client, model: Model) -> None:
    until = threading.Event()
    model.play([code("print(1)")], Stall(until, [text("late")], 2))
    with http.stream("POST", "/v1/messages", json=ask("go", stream=True)) as answer:
        lines = answer.iter_lines()
        for line in lines:
            if "code_execution_result" in line:
                break
        told = http.get(f"/v1/requests/{answer.headers['request-id']}").json()
        assert (told["state"], told["status"]) == ("running", None)
        assert told["steps"][1]["outcome"] == "completed"
        assert told["steps"][-1]["kind"] == "turn"
        assert told["steps"][-1]["milliseconds"] is None
        until.set()
        assert "event: error" in list(lines)  # broken off: and nothing of it is left for the next test


def ended(http: httpx2.Client, request_id: str) -> dict[str, Any]:
    """What is told of a request, once it has ended."""
    until(lambda: http.get(f"/v1/requests/{request_id}").json()["state"] == "ended", "its end")
    told: dict[str, Any] = http.get(f"/v1/requests/{request_id}").json()
    return told


def begun(words: str, input_tokens: int) -> list[dict[str, Any]]:
    """The events of a turn up to the end of its text, before its usage is known."""
    start, *events = events_of(
        said([text(words)]) | {"usage": {"input_tokens": input_tokens, "output_tokens": 1}}
    )
    return [start, *[event for event in events if event["type"].startswith("content_block")]]


def test_who_hangs_up_has_used_what_had_come(http: httpx2.Client, model: Model) -> None:
    release = threading.Event()

    def turn() -> Iterator[dict[str, Any]]:
        yield from begun("word" * 100, 100_000)
        release.wait(60)

    model.play(Events(turn()))
    with http.stream("POST", "/v1/messages", json=ask("go", stream=True)) as answer:
        for line in answer.iter_lines():
            if "content_block_stop" in line:
                break
    told = ended(http, answer.headers["request-id"])
    release.set()
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (100_000, 100)
    assert told["usage"]["is_estimated"] is True
    assert (told["steps"][0]["input_tokens"], told["steps"][0]["output_tokens"]) == (100_000, 100)
    assert told["steps"][0]["error"] == "cancelled"


def test_a_turn_that_fails_in_its_middle_has_used_what_had_come(http: httpx2.Client, model: Model) -> None:
    given = {"type": "tool_use", "id": "toolu_1", "name": "code_execution", "input": {}}
    cut = [
        {"type": "content_block_start", "index": 1, "content_block": given},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '{"code": "' + "x" * 390},
        },
        {"type": "error", "error": {"type": "overloaded_error", "message": "No."}},
    ]
    model.play(Events([*begun("word" * 100, 50), *cut]))
    answer = http.post("/v1/messages", json=ask("go"))
    assert answer.status_code != 200
    told = ended(http, answer.headers["request-id"])
    assert told["usage"]["input_tokens"] == 50
    assert told["usage"]["output_tokens"] >= 200


def test_an_upstream_that_counts_backwards_loses_no_row(http: httpx2.Client, model: Model) -> None:
    def requests() -> int:
        return sum(line["requests"] for line in http.get("/v1/usage").json()["data"])

    before = requests()
    model.play(said([text("Hello.")]) | {"usage": {"input_tokens": 10, "output_tokens": -1}})
    answer = http.post("/v1/messages", json=ask("go"))
    assert answer.json()["usage"]["output_tokens"] >= 0
    assert ended(http, answer.headers["request-id"])["usage"]["input_tokens"] == 10
    assert requests() == before + 1


@pytest.mark.anyio
async def test_what_cannot_be_counted_ends_all_the_same() -> None:
    """A failure of one that is told of a request's end keeps it from none of the others."""
    told: list[str] = []

    class Broken:
        def request(self, *_: object) -> None:
            raise ValueError("broken")

        used = request

    class Written:
        async def record(self, *_: object) -> None:
            told.append("row")
            raise ValueError("broken")

    class Ending:
        def end(self, *_: object) -> None:
            told.append("timeline")

    class Open:
        async def admit(self, scope: Any, _: object) -> Client:
            activity_of(scope).meter.is_kept = True
            return Client()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    parts: Any = Open(), 1000, InHand(1000), lambda *_: None, UnderWay(), Broken(), Written(), Ending(), 10
    transport = httpx2.ASGITransport(app=Envelope(app, *parts))
    async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
        assert (await client.get("/")).text == "done"
    assert told == ["row", "timeline"]


def container_seconds(http: httpx2.Client) -> tuple[int, float]:
    lines = http.get("/v1/usage").json()["data"]
    return sum(line["code_executions"] for line in lines), sum(line["container_seconds"] for line in lines)


SLOW = "import time\nprint('begun', flush=True)\ntime.sleep(600)"


def test_who_hangs_up_on_an_execution_has_used_its_time(http: httpx2.Client) -> None:
    executions, seconds = container_seconds(http)
    body = {"code": SLOW, "stream": True, "timeout_seconds": 600}
    with http.stream("POST", "/v1/executions", json=body) as answer:
        for line in answer.iter_lines():
            if "begun" in line.replace("begun_at", ""):
                break
    told = ended(http, answer.headers["request-id"])
    assert told["usage"]["executions"] == 1
    until(lambda: container_seconds(http)[0] == executions + 1, "its row")
    assert container_seconds(http)[1] > seconds


@pytest.mark.parametrize("more", [{}, {"tools": TOOLS}], ids=["alone", "with tools"])
def test_who_hangs_up_on_a_message_has_used_the_time_of_its_code(
    http: httpx2.Client, model: Model, more: dict[str, Any]
) -> None:
    model.play([code(SLOW)])
    container = http.post("/v1/containers", json={}).json()["id"]
    executions, seconds = container_seconds(http)
    with http.stream(
        "POST",
        "/v1/messages",
        json=ask("go", stream=True, container=container, **more),
        headers={"belljar-output": "live"},
    ) as answer:
        for _ in answer.iter_lines():
            if http.get(f"/v1/containers/{container}").json()["state"] == "running":
                break
    ended(http, answer.headers["request-id"])
    until(lambda: container_seconds(http)[0] == executions + 1, "its row")
    assert container_seconds(http)[1] > seconds


def test_what_fails_says_how(http: httpx2.Client, model: Model) -> None:
    model.play(Refusal(529, b'{"type":"error","error":{"type":"overloaded_error","message":"No."}}'))
    answer = http.post("/v1/messages", json=ask("go"))
    assert answer.status_code == 529
    told = http.get(f"/v1/requests/{answer.headers['request-id']}").json()
    assert told["status"] == 529
    assert told["steps"][0]["error"] == "overloaded_error"


def test_a_batch_has_as_many_steps_as_are_kept(http: httpx2.Client) -> None:
    lines = "\n".join(['{"code": "1"}'] * 3)
    answer = http.post("/v1/executions/batch", content=lines)
    told = http.get(f"/v1/requests/{answer.headers['request-id']}").json()
    assert kinds(told).count("execution") == 3


def test_others_and_unknown_requests_are_not_found(http: httpx2.Client) -> None:
    assert http.get("/v1/requests/req_nothing").status_code == 404
    # What neither asks a model nor runs code leaves none.
    listed = http.get("/v1/models")
    assert http.get(f"/v1/requests/{listed.headers['request-id']}").status_code == 404


def kept(number: int) -> Kept:
    return Kept(f"req_{number}", "POST /v1/executions", 0, Timeline(), Meter(0))


def test_only_the_last_ones_are_kept_and_each_tenant_has_its_own() -> None:
    timelines = Timelines()
    for number in range(MOST_KEPT + 1):
        timelines.begin("one", kept(number))
    timelines.begin("two", kept(0))
    assert timelines.find("one", f"req_{MOST_KEPT}").state == "running"
    with pytest.raises(Exception, match="no request req_0"):
        timelines.find("one", "req_0")
    assert timelines.find("two", "req_0").id == "req_0"
    with pytest.raises(Exception, match="no request"):
        timelines.find("two", "req_1")
    timelines.end("two", "req_0", 200, None)
    timelines.end("two", "req_gone", 200, None)
    assert timelines.find("two", "req_0").status == 200


def test_steps_beyond_the_most_are_left_out() -> None:
    timeline = Timeline()
    timeline.steps = [RequestStep(kind="run", name="run", begins_ms=0) for _ in range(MOST_STEPS)]
    with timeline.turn("model") as step:
        pass
    assert not timeline.is_whole
    assert len(timeline.steps) == MOST_STEPS
    assert step.milliseconds is not None


def test_the_parts_of_an_execution() -> None:
    parked = laps_of({"session": 0.1, "parked.guest": 4.0, "run": 2.0})
    assert [(lap.kind, lap.begins, lap.made) for lap in parked] == [
        ("session", 0.0, "parked"),
        ("run", 0.1, None),
    ]
    forked = laps_of({"session": 10.0, "guest": 4.0, "run": 2.0})
    assert [(lap.kind, lap.begins, lap.below) for lap in forked] == [
        ("session", 0.0, None),
        ("fork", 6.0, 0),
        ("run", 10.0, None),
    ]
    assert [lap.kind for lap in laps_of({"guest": 4.0, "run": 2.0})] == ["fork", "run"]
    assert laps_of({}) == []


# -- what a container holds --------------------------------------------------------------------------------


def test_a_container_says_what_it_uses(http: httpx2.Client) -> None:
    made = http.post("/v1/containers").json()
    assert made["use"] is None
    assert http.get(f"/v1/containers/{made['id']}").json()["use"] is None
    source = "held = b'1' * 40_000_000\nopen('a', 'wb').write(held[:5_000_000])\nsum(range(10**6))"
    http.post("/v1/executions", json={"code": source, "container": made["id"]})
    use = http.get(f"/v1/containers/{made['id']}").json()["use"]
    assert use["memory_bytes"] > 40_000_000
    assert 5_000_000 <= use["disk_bytes"] < 6_000_000
    assert use["pids"] >= 1
    assert use["cpu_seconds"] >= 0
    listed = http.get("/v1/containers").json()["data"]
    assert next(one for one in listed if one["id"] == made["id"])["use"] is None


def test_it_says_so_while_code_runs(http: httpx2.Client) -> None:
    container = http.post("/v1/containers").json()["id"]
    asked = {
        "code": "x = b'1' * 40_000_000\nprint('held', flush=True)\nimport time; time.sleep(20)",
        "container": container,
        "stream": True,
    }
    with http.stream("POST", "/v1/executions", json=asked) as answer:
        for line in answer.iter_lines():
            if "held" in line:
                break
        told = http.get(f"/v1/containers/{container}").json()
        assert told["state"] == "running"
        assert told["use"]["memory_bytes"] > 40_000_000


# -- output while it happens -------------------------------------------------------------------------------

LIVE = {"belljar-output": "live", "belljar-profile": "anthropic"}


def test_cells_of_a_stream_tell_what_they_show(http: httpx2.Client, model: Model) -> None:
    model.play([code("print('one')\n41 + 1")], [text("Done.")])
    with http.stream("POST", "/v1/messages", json=ask("go", stream=True), headers=LIVE) as answer:
        events = sse(answer.iter_lines())
    shown = [event for event in events if event["type"] == "belljar_output"]
    use = next(
        e["content_block"] for e in events if e.get("content_block", {}).get("type") == "server_tool_use"
    )
    assert {event["tool_use_id"] for event in shown} == {use["id"]}
    assert [event["output"]["type"] for event in shown] == ["stream", "execute_result"]
    assert shown[1]["output"]["data"]["text/plain"] == "42"
    first = events.index(shown[0])
    result = next(
        n for n, e in enumerate(events) if "tool_result" in e.get("content_block", {}).get("type", "")
    )
    assert first < result


def test_commands_tell_what_they_print_each_for_itself(http: httpx2.Client, model: Model) -> None:
    uses = [
        bash("echo left; until test -e right; do sleep 0.05; done; echo seen", "toolu_1"),
        {**bash("", "toolu_2"), "input": {"command": 7}},
        editor("toolu_3", command="create", path="/tmp/a.txt", file_text="one\n"),
        bash("echo oops >&2; touch right; exit 3", "toolu_4"),
    ]
    model.play(uses, [text("Done.")])
    asked = ask("go", stream=True, tools=offering("20260521"))
    with http.stream("POST", "/v1/messages", json=asked, headers=LIVE) as answer:
        events = sse(answer.iter_lines())
    begun = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    ids = [block["id"] for block in begun if block["type"] == "server_tool_use"]
    told: dict[tuple[str, str], str] = {}
    for event in events:
        if event["type"] == "belljar_output":
            output = event["output"]
            assert output.keys() == {"type", "name", "text"}
            who = event["tool_use_id"], output["name"]
            told[who] = told.get(who, "") + output["text"]
    assert told == {(ids[0], "stdout"): "left\nseen\n", (ids[3], "stderr"): "oops\n"}
    results = [block["content"] for block in begun if block["type"] == "bash_code_execution_tool_result"]
    assert [result.get("stdout") for result in results] == ["left\nseen\n", None, ""]


def test_what_a_cell_has_left_printing_is_no_commands_output(http: httpx2.Client, model: Model) -> None:
    source = (
        "import threading, time\n"
        "def go_on():\n    while True:\n        print('tick', flush=True)\n        time.sleep(0.05)\n"
        "threading.Thread(target=go_on, daemon=True).start()"
    )
    model.play([code(source)], [bash("sleep 1; echo own")], [text("Done.")])
    asked = ask("go", stream=True, tools=offering("20260521"))
    with http.stream("POST", "/v1/messages", json=asked, headers=LIVE) as answer:
        events = sse(answer.iter_lines())
    assert events[-1]["type"] == "message_stop"
    begun = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    (command,) = (block["id"] for block in begun if block.get("name") == "bash_code_execution")
    told = [event["output"]["text"] for event in events if event.get("tool_use_id") == command]
    assert told == ["own\n"]


@pytest.mark.parametrize(
    "use", [code("print('early')\nimport time\ntime.sleep(3600)"), bash("echo early; sleep 3600")]
)
def test_output_comes_while_it_runs(http: httpx2.Client, model: Model, use: dict[str, Any]) -> None:
    model.play([use], [text("Done.")])
    container = http.post("/v1/containers", json={}).json()["id"]
    asked = ask("go", stream=True, tools=offering("20260521"), container=container)
    with http.stream("POST", "/v1/messages", json=asked, headers=LIVE) as answer:

        def end_it(event: dict[str, Any]) -> None:
            if event["type"] == "belljar_output":
                assert event["output"]["text"] == "early\n"
                http.delete(f"/v1/containers/{container}")

        events = sse(answer.iter_lines(), end_it)
    begun = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    (result,) = [block["content"] for block in begun if "content" in block]
    assert result["stdout"] == "early\n"
    assert result["stderr"].endswith("it was ended while the code ran.")


def test_nobody_else_gets_these_events(http: httpx2.Client, model: Model) -> None:
    model.play([code("print('one')")], [text("Done.")])
    with http.stream("POST", "/v1/messages", json=ask("go", stream=True)) as answer:
        assert not any("belljar_output" in line for line in answer.iter_lines())
    refused = http.post("/v1/messages", json=ask("go", stream=True), headers={"belljar-output": "no"})
    assert refused.status_code == 400
    assert "belljar-output" in refused.json()["error"]["message"]
    model.play([code("print('one')")], [text("Done.")])
    assert "belljar_output" not in http.post("/v1/messages", json=ask("go"), headers=LIVE).text
