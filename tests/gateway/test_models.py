"""What lies around the messages: the models that there are, and the count of a request's tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import TOOL, Model, Refusal, Server, ask, code, serving, text, told

from belljar.errors import InvalidRequest, NotFound
from belljar.gateway import models, tokens

COUNT = "/v1/messages/count_tokens"
OFFICIAL = {
    "id": "model-2",
    "type": "model",
    "display_name": "Model Two",
    "created_at": "2026-02-01T00:00:00Z",
    "lifecycle": "deprecated",
    "max_input_tokens": 200_000,
    "capabilities": {"thinking": {"supported": True}, "batch": {"supported": True}},
}
LOCAL = {"id": "owner/local-7b", "object": "model", "created": 1_700_000_000, "max_model_len": 4096}


def counting(prompt: object, **more: Any) -> dict[str, Any]:
    body = ask(prompt, **more)
    del body["max_tokens"]
    return body


@pytest.fixture(scope="module")
def passing_on(tmp_path_factory: pytest.TempPathFactory, the_model: Model) -> Iterator[Server]:
    """A server that has no key of its own, and passes on its callers'."""
    state = tmp_path_factory.mktemp("passing-on")
    with serving(state, upstream=f"anthropic:{the_model.url}", preload={}, parked=0) as server:
        yield server


@pytest.fixture
def fresh(passing_on: Server, request: pytest.FixtureRequest) -> Iterator[httpx2.Client]:
    """A client with a key of its own, for which no list of models was asked for yet."""
    headers = {"x-api-key": request.node.name}
    with httpx2.Client(base_url=passing_on.url, timeout=60, headers=headers) as client:
        yield client


# Tokens


def test_the_upstream_counts_what_it_would_be_sent(http: httpx2.Client, model: Model) -> None:
    model.play([code("print(1)")], [text("One.")])
    first = http.post("/v1/messages", json=ask("Go.", system="Be brief.")).json()
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": "Again."},
    ]
    model.play([text("Two.")], told({"input_tokens": 812}))
    http.post("/v1/messages", json=ask(history, system="Be brief."))
    answer = http.post(
        COUNT, json=counting(history, system="Be brief."), headers={"anthropic-beta": "other-1"}
    )
    assert answer.json() == {"input_tokens": 812}
    assert answer.headers["belljar-token-count"] == "upstream"
    assert model.paths == ["/v1/messages", COUNT]
    assert model.headers[1]["anthropic-beta"] == "other-1"
    sent, counted = model.requests
    assert counted == {name: value for name, value in sent.items() if name not in {"max_tokens", "stream"}}
    assert "input_schema" in counted["tools"][0]
    assert counted["messages"][2]["content"][0]["type"] == "tool_result"


def test_nothing_runs_for_a_count(http: httpx2.Client, model: Model) -> None:
    history = [
        {"role": "user", "content": "Go."},
        {
            "role": "assistant",
            "content": [
                {
                    "type": "server_tool_use",
                    "id": "srvtoolu_1",
                    "name": "code_execution",
                    "input": {"code": "1"},
                }
            ],
        },
    ]
    live = http.get("/health").json()["sessions"]["live"]
    model.play(told({"input_tokens": 5}))
    assert http.post(COUNT, json=counting(history)).json() == {"input_tokens": 5}
    assert model.requests[0]["messages"][2]["content"][0]["tool_use_id"] == "toolu_1"
    assert http.get("/health").json()["sessions"]["live"] == live


@pytest.mark.parametrize(
    "answer",
    [
        Refusal(404, b"404 page not found"),
        Refusal(405, b""),
        told({"error": {"type": "not_found_error", "message": "File Not Found"}}, 404),
        Refusal(200, b"<html>hello</html>"),
        told({"tokens": 3}),
    ],
)
def test_who_does_not_count_is_estimated(http: httpx2.Client, model: Model, answer: Refusal) -> None:
    model.play(answer, answer)
    short = http.post(COUNT, json=counting("Hello."))
    long = http.post(COUNT, json=counting("Hello. " * 400))
    assert short.status_code == long.status_code == 200
    assert short.headers["belljar-token-count"] == "estimate"
    # Seven bytes four hundred times, less the six of the first: a token is taken for four of them.
    assert long.json()["input_tokens"] - short.json()["input_tokens"] == (7 * 400) // 4 - 2


def test_a_count_that_is_refused(http: httpx2.Client, model: Model) -> None:
    error = {"type": "not_found_error", "message": "model: nothing"}
    model.play(told({"type": "error", "error": error}, 404))
    answer = http.post(COUNT, json=counting("Hello."))
    assert (answer.status_code, answer.json()["error"]) == (404, error)
    for change in ({"messages": []}, {"tools": [TOOL, TOOL]}, {"container": 7}):
        answer = http.post(COUNT, json=counting("Hello.") | change)
        assert answer.status_code == 400
    assert http.post(COUNT, json=counting("Hello.", container="container_x")).status_code == 404
    assert len(model.requests) == 1


def test_what_an_estimate_counts() -> None:
    def estimate(*content: dict[str, Any], **more: Any) -> int:
        return tokens.estimate({"messages": [{"role": "user", "content": list(content)}], **more})

    nothing = estimate()
    words = {"type": "text", "text": "abcd" * 10}
    assert estimate(words) == nothing + 10
    assert estimate(system=[words]) == nothing + 10
    assert estimate({"type": "text", "text": "语" * 4}) == nothing + 3
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    assert estimate(picture) == nothing + 1600
    assert (
        estimate({"type": "tool_result", "tool_use_id": "1", "content": [words, picture]}) == nothing + 1610
    )
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "A" * 4 * 30_000}
    assert estimate({"type": "document", "source": pdf}) == nothing + 2 * 1600
    assert estimate({"type": "document", "source": {"type": "text", "data": "abcd"}}) == nothing + 1
    tool = {"name": "weather", "input_schema": {"type": "object"}}
    assert estimate(tools=[tool, tool]) - estimate(tools=[tool]) < estimate(tools=[tool]) - nothing
    assert estimate(tools=[tool]) > nothing


# Models


def test_the_models_of_an_upstream(fresh: httpx2.Client, model: Model) -> None:
    first = {"data": [{"id": "model-1"}, OFFICIAL], "has_more": True, "last_id": "model-2"}
    second = {"data": [{"id": "model-0", "lifecycle": "retired"}], "has_more": False}
    model.play(told(first), told(second))
    answer = fresh.get("/v1/models")
    assert model.paths == ["/v1/models?limit=1000", "/v1/models?limit=1000&after_id=model-2"]
    assert model.headers[0]["x-api-key"] == "test_the_models_of_an_upstream"
    assert answer.json()["first_id"] == "model-1"
    assert answer.json()["last_id"] == "model-2"
    assert answer.json()["has_more"] is False
    plain, official = answer.json()["data"]
    assert plain["display_name"] == "model-1"
    assert plain["created_at"] == "1970-01-01T00:00:00.000000Z"
    assert {name: official[name] for name in OFFICIAL if name != "capabilities"} == {
        name: value for name, value in OFFICIAL.items() if name != "capabilities"
    }
    assert official["capabilities"]["thinking"] == {"supported": True}
    assert official["capabilities"]["batch"] == {"supported": False}, "this server has no batches of messages"
    assert official["capabilities"]["server_tools"]["code_execution"] == {"supported": True}
    # For a while nobody asks again; another key may see other models.
    assert fresh.get("/v1/models/model-2").json() == official
    assert len(model.paths) == 2
    model.play(told({"data": []}))
    assert fresh.get("/v1/models/model-2", headers={"x-api-key": "other"}).status_code == 404
    assert model.headers[0]["x-api-key"] == "other"


def test_the_list_of_a_local_server(fresh: httpx2.Client, model: Model) -> None:
    model.play(told({"object": "list", "data": [LOCAL, "nonsense", {"id": 7}]}))
    (local,) = fresh.get("/v1/models").json()["data"]
    assert local["id"] == local["display_name"] == "owner/local-7b"
    assert local["created_at"] == "2023-11-14T22:13:20.000000Z"
    assert local["max_input_tokens"] == 4096
    assert fresh.get("/v1/models/owner/local-7b").json() == local
    assert fresh.get("/v1/models/owner%2Flocal-7b").json() == local
    missing = fresh.get("/v1/models/other")
    assert missing.status_code == 404
    assert missing.json()["error"]["type"] == "not_found_error"


def test_another_name_of_a_model(fresh: httpx2.Client, model: Model) -> None:
    missing = {"type": "error", "error": {"type": "not_found_error", "message": "model: a/b"}}
    failing = {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}
    model.play(told({"data": [LOCAL]}), told(OFFICIAL), told(missing, 404), told(failing, 529), told({}))
    assert fresh.get("/v1/models/model-latest").json()["id"] == "model-2"
    assert fresh.get("/v1/models/a/b").status_code == 404
    assert model.paths == ["/v1/models?limit=1000", "/v1/models/model-latest", "/v1/models/a%2Fb"]
    assert fresh.get("/v1/models/c").json()["error"]["type"] == "overloaded_error"
    assert fresh.get("/v1/models/d").status_code == 404
    for nothing in ("", "%2E%2E"):
        assert fresh.get(f"/v1/models/{nothing}").status_code == 404
    assert model.paths[-1] == "/v1/models/d"


@pytest.mark.parametrize("answer", [Refusal(404, b"404 page not found"), told({"object": "list"})])
def test_an_upstream_that_has_no_list(fresh: httpx2.Client, model: Model, answer: Refusal) -> None:
    model.play(answer)
    nothing = {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert fresh.get("/v1/models").json() == nothing


def test_a_list_that_is_refused_is_asked_for_again(fresh: httpx2.Client, model: Model) -> None:
    error = {"type": "authentication_error", "message": "invalid x-api-key"}
    model.play(told({"type": "error", "error": error}, 401), told({"data": [LOCAL]}))
    answer = fresh.get("/v1/models")
    assert (answer.status_code, answer.json()["error"]) == (401, error)
    assert fresh.get("/v1/models").json()["last_id"] == "owner/local-7b"


def test_without_a_model(tmp_path: Path) -> None:
    with serving(tmp_path, upstream="direct", preload={}, parked=0) as server:
        listed = httpx2.get(f"{server.url}/v1/models").json()
        assert [one["id"] for one in listed["data"]] == ["direct"]
        assert httpx2.get(f"{server.url}/v1/models/direct").json() == listed["data"][0]
        assert httpx2.get(f"{server.url}/v1/models/other").status_code == 404
        counted = httpx2.post(f"{server.url}{COUNT}", json=counting("Hello."))
        assert counted.headers["belljar-token-count"] == "estimate"
        assert counted.json()["input_tokens"] > 0


LIST = [{"id": name} for name in "abcde"] + [{"id": "old", "lifecycle": "retired"}]


@pytest.mark.parametrize(
    ("query", "ids", "has_more"),
    [
        ({}, "abcde", False),
        ({"limit": "2"}, "ab", True),
        ({"limit": "2", "after_id": "b"}, "cd", True),
        ({"limit": "2", "after_id": "d"}, "e", False),
        ({"after_id": "e"}, "", False),
        ({"limit": "2", "before_id": "d"}, "bc", True),
        ({"limit": "2", "before_id": "c"}, "ab", False),
        ({"after_id": "a", "before_id": "d"}, "bc", False),
    ],
)
def test_pages(query: dict[str, str], ids: str, has_more: bool) -> None:
    page = models.page(LIST, models.asked_for(query.items()), searches=False)
    assert [model.id for model in page.data] == list(ids)
    assert page.has_more is has_more
    assert (page.first_id, page.last_id) == ((ids[0], ids[-1]) if ids else (None, None))


def test_retired_models_for_those_who_ask() -> None:
    page = models.page(LIST, models.asked_for([("lifecycle[]", "retired")]), searches=False)
    assert [model.id for model in page.data] == ["old"]
    both = models.page(
        LIST, models.asked_for([("lifecycle[]", "retired"), ("lifecycle[]", "active")]), searches=False
    )
    assert len(both.data) == 6


@pytest.mark.parametrize(
    "query", [("limit", "0"), ("limit", "1001"), ("limit", "-1"), ("limit", "x"), ("lifecycle[]", "new")]
)
def test_queries_that_make_no_sense(query: tuple[str, str]) -> None:
    with pytest.raises(InvalidRequest, match=query[0].rstrip("[]")):
        models.asked_for([query])


@pytest.mark.parametrize("name", ["after_id", "before_id"])
def test_a_place_that_is_not_in_the_list(name: str) -> None:
    with pytest.raises(NotFound, match=name):
        models.page(LIST, models.asked_for([(name, "nothing")]), searches=False)


@pytest.mark.parametrize(
    "odd",
    [
        {"created": 10**20},
        {"created": -1},
        {"created_at": 7, "created": "x"},
        {"lifecycle": ["active"], "display_name": 3, "capabilities": [], "max_tokens": True},
    ],
)
def test_a_server_that_says_odd_things(odd: dict[str, Any]) -> None:
    document = models.document_of({"id": "m", **odd}, searches=False)
    assert document.created_at == "1970-01-01T00:00:00.000000Z"
    assert (document.display_name, document.lifecycle, document.max_tokens) == ("m", "active", None)
