"""Many programs in one request."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import serving

pytestmark = pytest.mark.usefixtures("http")


def batch(http: httpx2.Client, *items: Any, **query: Any) -> list[dict[str, Any]]:
    body = "\n".join(item if isinstance(item, str) else json.dumps(item) for item in items)
    answer = http.post("/v1/executions/batch", content=body.encode(), params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines() if line]


def test_each_line_has_its_answer_whatever_becomes_of_it(http: httpx2.Client) -> None:
    lines = batch(
        http,
        {
            "code": "print(open('a.txt').read())",
            "files": [{"name": "a.txt", "data": "aGk="}],
            "custom_id": "first",
        },
        "",
        {"code": "1 / 0"},
        {"code": "import os; os._exit(3)"},
        {"cod": "print(1)", "custom_id": "wrong"},
        "{not json",
        "[1]",
        {"code": "while True: pass", "timeout_seconds": 0.5, "custom_id": "ünïcode"},
        {"code": "print('\\ud800'.encode('utf-8', 'surrogatepass'))"},
        {"code": "x = 1", "container": "container_that_is_not_there"},
    )
    assert sorted(line["index"] for line in lines) == list(range(9))
    by_index = {line["index"]: line for line in lines}
    first = by_index[0]
    assert (first["custom_id"], first["error"], first["execution"]["stdout"]) == ("first", None, "hi\n")
    assert first["execution"]["container"] is None
    assert by_index[1]["execution"]["outcome"]["status"] == "raised"
    assert by_index[2]["execution"]["return_code"] == 3
    assert by_index[3]["error"]["type"] == "invalid_request_error"
    assert by_index[3]["error"]["message"].startswith("code:")
    assert by_index[3]["custom_id"] == "wrong"
    assert by_index[4]["error"]["message"].startswith("The line is not valid JSON")
    assert "object" in by_index[5]["error"]["message"]
    assert by_index[6]["execution"]["outcome"]["status"] == "timed_out"
    assert by_index[6]["custom_id"] == "ünïcode"
    assert by_index[7]["execution"]["outcome"]["status"] == "completed"
    assert by_index[8]["error"]["type"] == "not_found_error"


def test_answers_come_as_they_finish_and_sessions_are_strangers(http: httpx2.Client) -> None:
    slow = {"code": "import time; time.sleep(3); print('slow')"}
    quick = {"code": "print('x' in globals()); x = 1"}
    with http.stream(
        "POST",
        "/v1/executions/batch",
        content="\n".join(map(json.dumps, [slow, *[quick] * 6])).encode(),
        params={"at_once": 2},
    ) as answer:
        order = [json.loads(line) for line in answer.iter_lines() if line]
    assert [line["index"] for line in order][-1] == 0
    assert {line["execution"]["stdout"] for line in order[:-1]} == {"False\n"}


def test_silence_is_broken_by_empty_lines(tmp_path: Path) -> None:
    with (
        serving(tmp_path, preload={}, batch_silence_seconds=0.2) as own,
        httpx2.stream(
            "POST",
            f"{own.url}/v1/executions/batch",
            content="\n".join(
                json.dumps({"code": f"import time; time.sleep({s}); print({s})"}) for s in (1, 2)
            ),
            params={"at_once": 1},
            timeout=60,
        ) as answer,
    ):
        lines = list(answer.iter_lines())
    answers = [json.loads(line)["execution"]["stdout"] for line in lines if line]
    assert answers == ["1\n", "2\n"]
    # Before each answer, and not only before the first.
    first = next(at for at, line in enumerate(lines) if line)
    assert first > 0
    assert lines[first + 1] == ""


def test_an_answer_is_one_line_whoever_counts_the_lines(http: httpx2.Client) -> None:
    printed = "a\u2028b\u2029c\x85d\n"
    code = f"print({printed.strip()!r})"
    (line,) = batch(http, {"code": code})
    assert line["execution"]["stdout"] == printed


def test_more_than_there_are_places_wait_their_turn(http: httpx2.Client) -> None:
    lines = batch(http, *[{"code": f"print({n})"} for n in range(40)], at_once=8)
    assert {line["index"]: line["execution"]["stdout"] for line in lines} == {n: f"{n}\n" for n in range(40)}


@pytest.mark.parametrize(
    ("body", "query", "said"),
    [
        (b"", {}, "JSON lines"),
        (b" \n\n", {}, "JSON lines"),
        *[(b"{}", {"at_once": value}, "at_once") for value in ("0", "x", "100000", "²", "9" * 5000)],
    ],
)
def test_a_batch_that_cannot_be_is_refused(
    http: httpx2.Client, body: bytes, query: dict[str, str], said: str
) -> None:
    answer = http.post("/v1/executions/batch", content=body, params=query)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_a_client_that_hangs_up_ends_all_of_it(http: httpx2.Client) -> None:
    before = http.get("/health").json()["sessions"]["live"]
    items = [{"code": "print('now')"}, *[{"code": "import time; time.sleep(60)"}] * 50]
    with http.stream(
        "POST",
        "/v1/executions/batch",
        content="\n".join(map(json.dumps, items)).encode(),
        params={"at_once": 4},
    ) as answer:
        assert json.loads(next(filter(None, answer.iter_lines())))["execution"]["stdout"] == "now\n"
    deadline = time.monotonic() + 20
    while http.get("/health").json()["sessions"]["live"] > before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
