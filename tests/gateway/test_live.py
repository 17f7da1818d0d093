"""Executions as they happen: events while the code runs, and the whole document at the end."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import anyio
import httpx2
import pytest
from serving import Server

from belljar import results
from belljar.errors import NotFound
from belljar.gateway.feed import Feed, shown, watched

DEADLINE_SECONDS = 60


def follow(http_client: httpx2.Client, code: str, **more: Any) -> Iterator[dict[str, Any]]:
    """The events of code that is run, as they come."""
    body = {"code": code, "stream": True, **more}
    with http_client.stream("POST", "/v1/executions", json=body) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                assert event["type"] == name
                yield event


def test_events_come_while_the_code_runs(http: httpx2.Client) -> None:
    container = http.post("/v1/containers", json={}).json()["id"]
    code = """
import time
print("first")
while not open("go", "a+").tell(): time.sleep(0.01)
print("second")
display({"text/plain": "shown", "text/html": "<b>"}, raw=True, display_id="place")
6 * 7
"""
    events = follow(http, code, container=container)
    started = next(events)
    assert (started["type"], started["container"]) == ("started", container)
    assert next(events) == {"type": "stream", "name": "stdout", "text": "first\n"}
    events.close()  # the code still waits: its second half has not begun
    again = http.post("/v1/executions", json={"code": "open('go', 'w').write('x')", "container": container})
    assert again.status_code == 200, again.text
    rest = list(follow(http, code, container=container))
    assert [event["type"] for event in rest] == [
        "started",
        "stream",
        "display_data",
        "execute_result",
        "finished",
    ]
    assert rest[1]["text"] == "first\nsecond\n"
    assert rest[2] == {
        "type": "display_data",
        "data": {"text/plain": "shown", "text/html": "<b>"},
        "display_id": "place",
    }
    execution = rest[-1]["execution"]
    assert execution["id"] == rest[0]["id"]
    assert execution["outputs"] == rest[1:-1]
    assert execution["outcome"]["status"] == "completed"


def test_an_exception_is_an_event_and_the_end_is_the_document(http: httpx2.Client) -> None:
    events = list(follow(http, "open('made.txt', 'w').write('x')\n1 / 0"))
    error, finished = events[-2:]
    assert (error["type"], error["ename"]) == ("error", "ZeroDivisionError")
    assert finished["execution"]["outcome"]["status"] == "raised"
    assert finished["execution"]["container"] is None
    (file,) = finished["execution"]["files"]
    assert http.get(f"/v1/files/{file['file_id']}/content").content == b"x"


def test_what_is_replaced_and_taken_back_is_told(http: httpx2.Client) -> None:
    code = """
import sys, time
handle = display("one", display_id=True)
time.sleep(0.1)
handle.update("two")
time.sleep(0.1)
from IPython.display import clear_output
clear_output()
print("left")
"""
    *events, finished = follow(http, code)
    kinds = [event["type"] for event in events if event["type"] != "ping"]
    assert kinds[0] == "started"
    assert kinds[-2:] == ["clear_output", "stream"]
    assert finished["execution"]["outputs"] == [{"type": "stream", "name": "stdout", "text": "left\n"}]


def test_the_runtime_of_the_header_counts(http: httpx2.Client) -> None:
    answer = http.post(
        "/v1/executions", json={"code": "1", "stream": True}, headers={"belljar-runtime": "none"}
    )
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize(
    ("more", "status"),
    [({"container": "container_none"}, 404), ({"stream": "yes"}, 400), ({"timeout_seconds": -1}, 400)],
)
def test_what_fails_before_is_an_ordinary_error(
    http: httpx2.Client, more: dict[str, Any], status: int
) -> None:
    answer = http.post("/v1/executions", json={"code": "1", "stream": True, **more})
    assert answer.status_code == status
    assert answer.json()["type"] == "error"


def test_a_line_of_a_batch_is_not_streamed(http: httpx2.Client) -> None:
    answer = http.post("/v1/executions/batch", content=b'{"code": "1", "stream": true}\n')
    (line,) = [json.loads(line) for line in answer.text.splitlines() if line]
    assert line["error"]["type"] == "invalid_request_error"
    assert line["error"]["message"].startswith("stream: ")


def test_a_hang_up_ends_the_code(http: httpx2.Client) -> None:
    container = http.post("/v1/containers", json={}).json()["id"]
    events = follow(http, "print(1)\nimport time\ntime.sleep(600)", container=container, timeout_seconds=600)
    assert [next(events)["type"], next(events)["type"]] == ["started", "stream"]
    events.close()
    # Long before the code's own end the session is free again.
    done = http.post("/v1/executions", json={"code": "print('free')", "container": container}).json()
    assert done["stdout"] == "free\n"


def test_a_slow_reader_holds_up_nobody(server: Server, http: httpx2.Client) -> None:
    container = http.post("/v1/containers", json={}).json()["id"]
    code = """
handle = display("", display_id=True)
for number in range(2000):
    handle.update("x" * 10_000 + str(number))
print("y" * 500_000)
"""
    url = httpx2.URL(server.url)
    connection = http_connection(url)
    body = json.dumps({"code": code, "stream": True, "container": container})
    connection.request("POST", "/v1/executions", body)
    answer = connection.getresponse()
    begun = answer.read(1)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while http.get(f"/v1/containers/{container}").json()["state"] == "running":
        assert time.monotonic() < deadline  # the run ends, though nobody reads what it has told
        time.sleep(0.01)
    text = (begun + answer.read()).decode()
    connection.close()
    events = [
        json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")
    ]
    assert events[-1]["type"] == "finished"
    assert events[-1]["execution"]["outputs"][0]["data"]["text/plain"].endswith("1999'")
    assert "".join(event["text"] for event in events if event["type"] == "stream") == "y" * 500_000 + "\n"
    # What was replaced before it could be sent is not sent.
    assert len(text) < 5_000_000


def http_connection(url: httpx2.URL) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(url.host, url.port, timeout=DEADLINE_SECONDS)
    connection.sock = socket.socket()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sock.settimeout(DEADLINE_SECONDS)
    connection.sock.connect((url.host, url.port))
    return connection


def folded(*events: results.Event) -> list[dict[str, Any]]:
    """What is left to send of events for which nobody was there."""

    async def all_of_it() -> list[dict[str, Any]]:
        feed = Feed()
        for event in events:
            feed.add(event)
        feed.close()
        return [event async for event in feed.events()]

    return anyio.run(all_of_it)


def display(text: str, kind: Any = "display_data", place: str | None = None) -> results.Display:
    return results.Display(kind, {"text/plain": text.encode()}, {}, place)


def as_sent(*events: results.Event) -> list[dict[str, Any]]:
    return [shown(event) for event in events]


def test_unsent_events_are_folded() -> None:
    out, err = results.Stream("stdout", "a"), results.Stream("stderr", "b")
    assert folded(out, out, err, out) == as_sent(results.Stream("stdout", "aa"), err, out)
    update = display("new", "update_display_data", "p")
    assert folded(display("old", place="p"), out, update) == as_sent(display("new", place="p"), out)
    assert folded(out, update, display("newer", "update_display_data", "p")) == as_sent(
        out, display("newer", "update_display_data", "p")
    )
    # Printed text is told in any case: it stays in `stdout`.
    assert folded(out, display("x"), results.Clear(wait=False)) == as_sent(out, results.Clear(wait=False))
    assert folded(display("x"), results.Clear(wait=True)) == as_sent(display("x"), results.Clear(wait=True))


def test_a_display_in_several_places_is_replaced_in_all_of_them() -> None:
    one, new = display("one", place="p"), display("new", "update_display_data", "p")
    newer = display("newer", "update_display_data", "p")
    assert folded(one, one, new, newer) == as_sent(one, one, newer)
    assert folded(new, one, newer) == as_sent(one, newer)

    async def one_is_there_already() -> list[dict[str, Any]]:
        feed, got = Feed(), []
        feed.add(one)
        async for event in feed.events():
            got.append(event)
            if len(got) == 1:
                for further in (one, new, newer):
                    feed.add(further)
                feed.close()
        return got

    assert anyio.run(one_is_there_already) == as_sent(one, one, newer)


@pytest.mark.anyio
async def test_a_run_does_not_wait_for_whoever_watches_it() -> None:
    ended, got = anyio.Event(), []

    async def run(feed: Feed) -> int:
        feed.begin("exec_1", None)
        for text in "ab":
            feed.add(results.Stream("stdout", text))
            await anyio.sleep(0)
        ended.set()
        return 7

    async def emit(event: dict[str, object]) -> None:
        await ended.wait()
        got.append(event)

    with anyio.fail_after(10):
        assert await watched(run, emit) == 7
    assert [event["type"] for event in got] == ["started", "stream"]
    assert got[1]["text"] == "ab"


@pytest.mark.anyio
async def test_what_a_watched_run_raises_is_raised_as_it_is_behind_what_it_has_told() -> None:
    got = []

    async def run(feed: Feed) -> None:
        feed.add(results.Stream("stdout", "a"))
        raise NotFound("gone")

    async def emit(event: dict[str, object]) -> None:
        got.append(event)

    with pytest.raises(NotFound, match="gone"):
        await watched(run, emit)
    assert len(got) == 1
