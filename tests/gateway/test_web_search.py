"""Web search beside code, over HTTP: a search engine on the loopback, and code that really runs."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engines import PAGES, SEARCH, Answer, Engine, found, search
from serving import TOOL, Events, Model, ask, bash, code, said, serving, text
from serving import told as answered
from test_messages import OFFICIAL, post, stream, types
from test_tools import offering

from belljar.gateway.search import Found, citing

NEW = {"type": "web_search_20260209", "name": "web_search"}
BOTH = [TOOL, SEARCH]
PROMPT = "Search for the share prices of the top tech companies today, then create a chart comparing them"
CHART = "import matplotlib.pyplot as plt\nplt.bar(['A', 'B', 'C'], [10, 20, 30])\nprint('drawn')"


@pytest.fixture(scope="module")
def the_engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture
def engine(the_engine: Engine) -> Engine:
    the_engine.play()
    return the_engine


@pytest.fixture(scope="module")
def searching(
    tmp_path_factory: pytest.TempPathFactory, the_model: Model, the_engine: Engine
) -> Iterator[httpx2.Client]:
    """A client of a server with a SearXNG, whose model cites."""
    with (
        serving(
            tmp_path_factory.mktemp("searching"),
            upstream=f"anthropic:{the_model.url}",
            upstream_api_key="upstream-key",
            search=f"searxng:{the_engine.url}",
            search_citations="on",
        ) as server,
        httpx2.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def leaving(tmp_path_factory: pytest.TempPathFactory, the_model: Model) -> Iterator[httpx2.Client]:
    """A client of a server that leaves searches to the upstream."""
    with (
        serving(
            tmp_path_factory.mktemp("leaving"),
            upstream=f"anthropic:{the_model.url}",
            upstream_api_key="upstream-key",
            search="upstream",
            preload={},
        ) as server,
        httpx2.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


def codes(message: dict[str, Any]) -> list[str]:
    """The error codes of the searches, in order; `found` for those without."""
    contents = [block["content"] for block in message["content"] if block["type"] == "web_search_tool_result"]
    for content in contents:
        assert isinstance(content, list) or content["type"] == "web_search_tool_result_error"
    return ["found" if isinstance(content, list) else content["error_code"] for content in contents]


def told(model: Model) -> list[dict[str, Any]]:
    """The results that the model was sent last."""
    return [
        block for block in model.requests[-1]["messages"][-1]["content"] if block["type"] == "tool_result"
    ]


def searches(message: dict[str, Any]) -> int:
    count = message["usage"]["server_tool_use"]["web_search_requests"]
    assert isinstance(count, int)
    return count


def cited(index: int, source: str, words: str = "B leads at 20.") -> dict[str, Any]:
    return {
        "type": "search_result_location",
        "search_result_index": index,
        "source": source,
        "title": "whatever the model says",
        "start_block_index": 0,
        "end_block_index": 1,
        "cited_text": words,
    }


def test_search_and_then_a_chart(searching: httpx2.Client, model: Model, engine: Engine) -> None:
    model.play([text("I will search."), search("tech share prices")], [code(CHART)], [text("B leads.")])
    message = post(searching, ask(PROMPT, tools=BOTH), OFFICIAL)
    assert types(message) == [
        "text",
        "server_tool_use",
        "web_search_tool_result",
        "server_tool_use",
        "code_execution_tool_result",
        "text",
    ]
    use, result = message["content"][1:3]
    query = {"query": "tech share prices"}
    assert use == {"type": "server_tool_use", "id": "srvtoolu_s", "name": "web_search", "input": query}
    assert result["tool_use_id"] == "srvtoolu_s"
    assert [(page["type"], page["url"], page["title"]) for page in result["content"]] == [
        ("web_search_result", page["url"], page["title"]) for page in PAGES
    ]
    for page in result["content"]:
        base64.b64decode(page["encrypted_content"], validate=True)
    ran = message["content"][4]["content"]
    assert ran["stdout"] == "drawn\n"
    assert [made["mime_type"] for made in ran["content"]] == ["image/png"]
    assert message["usage"]["server_tool_use"] == {
        "web_search_requests": 1,
        "web_fetch_requests": 0,
        "code_execution_requests": 1,
    }
    assert engine.asked[0].query["q"] == "tech share prices"
    sent = model.requests[0]["tools"]
    assert [tool["name"] for tool in sent] == ["code_execution", "web_search"]
    assert sent[1]["input_schema"]["required"] == ["query"]
    assert "type" not in sent[1]
    (block,) = model.requests[1]["messages"][-1]["content"]
    assert block["content"][0] == {
        "type": "search_result",
        "source": PAGES[0]["url"],
        "title": PAGES[0]["title"],
        "content": [text(PAGES[0]["content"])],
        "citations": {"enabled": True},
    }


@pytest.mark.parametrize("first", [0, 1])
def test_each_tool_is_offered_once(searching: httpx2.Client, model: Model, first: int) -> None:
    model.play([text("Well.")])
    marked = {**SEARCH, "cache_control": {"type": "ephemeral"}}
    tools = [*offering("20260521"), marked]
    post(searching, ask("Go.", tools=tools[first:] + tools[:first]))
    sent = [(tool["name"], bool(tool.get("cache_control"))) for tool in model.requests[0]["tools"]]
    code = [(name, False) for name in ("bash_code_execution", "text_editor_code_execution", "code_execution")]
    assert sent == ([*code, ("web_search", True)] if first == 0 else [("web_search", True), *code])


def test_the_inline_shape(searching: httpx2.Client, model: Model, engine: Engine) -> None:
    model.play([search("prices")], [code(CHART)], [text("B leads.")])
    message = post(searching, ask(PROMPT, tools=BOTH))
    kinds = ["code_execution_result"] * 3
    assert types(message) == ["server_tool_use", kinds[0], "server_tool_use", *kinds[1:], "text"]
    output = message["content"][1]["output"]["text"]
    assert all(page["url"] in output and page["content"] in output for page in PAGES)
    assert message["content"][1]["text"].startswith("Result: [1] Shares today")
    assert message["content"][4]["output"]["type"] == "image"
    model.play([text("You are welcome.")])
    said = {"role": "assistant", "content": message["content"]}
    history = [{"role": "user", "content": PROMPT}, said, {"role": "user", "content": "Thanks."}]
    post(searching, ask(history, tools=BOTH))
    assert PAGES[1]["content"] in str(model.requests[0]["messages"][2])
    engine.play(Answer(b"{}", 429))
    model.play([search("prices")], [text("No.")])
    message = post(searching, ask("Go.", tools=BOTH))
    assert message["content"][1]["is_error"] is True
    assert message["content"][1]["text"].startswith("Error: too_many_requests")


def test_a_stream(searching: httpx2.Client, model: Model, engine: Engine) -> None:
    citation = cited(1, PAGES[1]["url"])
    answer = [text("Prices: "), text("B leads") | {"citations": [citation]}]
    model.play([search("tech share prices")], answer)
    events = stream(searching, ask("Go.", tools=[SEARCH]))
    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [block["type"] for block in starts] == [
        "server_tool_use",
        "web_search_tool_result",
        "text",
        "text",
    ]
    assert len(starts[1]["content"]) == 2
    written = "".join(
        event["delta"]["partial_json"]
        for event in events
        if event["type"] == "content_block_delta" and event["index"] == 0
    )
    assert json.loads(written) == {"query": "tech share prices"}
    (seen,) = starts[3]["citations"]
    assert seen["type"] == "web_search_result_location"
    delta = next(event for event in events if event["type"] == "message_delta")
    assert delta["usage"]["server_tool_use"]["web_search_requests"] == 1
    assert delta["delta"]["container"] is None


@pytest.mark.parametrize("is_streamed", [False, True])
def test_citations(searching: httpx2.Client, model: Model, engine: Engine, is_streamed: bool) -> None:
    """Only what cites a page of ours is put into the words of web search."""
    client_result = {
        "type": "search_result",
        "source": PAGES[1]["url"],
        "title": "The caller's own",
        "content": [text("Mine.")],
        "citations": {"enabled": True},
    }
    ours, theirs = cited(2, PAGES[1]["url"], "x" * 400), cited(0, PAGES[1]["url"], "Mine.")
    events = [
        {"type": "message_start", "message": {"id": "m", "model": "m", "usage": {}}},
        {"type": "content_block_start", "index": 0, "content_block": text("") | {"citations": []}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "B leads"}},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "citations_delta", "citation": told},
            }
            for told in (ours, theirs)
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    model.play([search("prices")], Events(events))
    body = ask([{"role": "user", "content": [client_result, text("Go.")]}], tools=[SEARCH])
    if is_streamed:
        seen = [
            event["delta"]["citation"]
            for event in stream(searching, body)
            if event["type"] == "content_block_delta" and event["delta"]["type"] == "citations_delta"
        ]
    else:
        seen = post(searching, body)["content"][-1]["citations"]
    first, second = seen
    assert second == theirs
    assert first.pop("encrypted_index")
    assert first == {
        "type": "web_search_result_location",
        "url": PAGES[1]["url"],
        "title": PAGES[1]["title"],
        "cited_text": "x" * 149 + "…",
    }


def test_results_that_the_caller_sends_uncited(
    searching: httpx2.Client, model: Model, engine: Engine
) -> None:
    """The API wants all results of a request cited or none."""
    own = {"type": "search_result", "source": "mine", "title": "Mine", "content": [text("Mine.")]}
    model.play([search("prices")], [text("B.")])
    post(searching, ask([{"role": "user", "content": [own, text("Go.")]}], tools=[SEARCH]))
    (result,) = told(model)
    assert [block["citations"] for block in result["content"]] == [{"enabled": False}] * 2


def test_history(searching: httpx2.Client, http: httpx2.Client, model: Model, engine: Engine) -> None:
    """What was found comes back with the conversation; the snippet too."""
    dated = PAGES[0] | {"publishedDate": "2026-01-02"}
    engine.play(found([dated]))
    model.play([search("prices")], [text("A is 10.") | {"citations": [cited(0, PAGES[0]["url"])]}])
    first = post(searching, ask("Go.", tools=[SEARCH]))
    assert first["content"][1]["content"][0]["page_age"] == "2026-01-02"
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": "And B?"},
    ]
    model.play([text("20.") | {"citations": [cited(0, PAGES[0]["url"])]}])
    second = post(searching, ask(history, tools=[SEARCH]))
    sent = model.requests[0]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user", "assistant", "user"]
    assert sent[1]["content"] == [search("prices")]
    (result,) = sent[2]["content"]
    assert result["tool_use_id"] == "toolu_s"
    assert result["content"] == [
        {
            "type": "search_result",
            "source": PAGES[0]["url"],
            "title": PAGES[0]["title"],
            "content": [text(PAGES[0]["content"]), text("Page age: 2026-01-02")],
            "citations": {"enabled": True},
        }
    ]
    assert sent[3]["content"] == [text("A is 10.")]  # a citation counts in the request that it was made in
    assert second["content"][0]["citations"][0]["type"] == "web_search_result_location"

    # A model that does not cite gets text, and so does one whose request has no search any more.
    for client, tools in ((http, [SEARCH]), (searching, [TOOL]), (searching, None)):
        model.play([text("20.")])
        post(client, ask(history, tools=tools))
        (result,) = model.requests[0]["messages"][2]["content"]
        words = f"[1] {PAGES[0]['title']}\n{PAGES[0]['url']} (2026-01-02)\n{PAGES[0]['content']}"
        assert result["content"] == [text(words)]


@pytest.mark.parametrize(
    "sealed",
    [
        None,
        7,
        "",
        "not base64",
        "EqgfCioIARgBIiQ3YTAwMjY1Mi1mZjM5LTQ1NGUtODgxNC1kNjNjNTk1ZWI3Y",
        "=" * 99,
        "ä",
    ],
)
def test_history_of_others(searching: httpx2.Client, model: Model, sealed: object) -> None:
    """What we did not seal has a title and a URL still."""
    page = {"type": "web_search_result", "url": "https://a.com", "title": "A", "encrypted_content": sealed}
    use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [page, "odd", {}]}
    failed = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    other = {**use, "id": "srvtoolu_2"}, {**result, "tool_use_id": "srvtoolu_2", "content": failed}
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": [use, result, *other, {**result, "tool_use_id": "srvtoolu_none"}]},
        {"role": "user", "content": "And?"},
    ]
    model.play([text("Well.")])
    post(searching, ask(history, tools=[SEARCH]))
    sent = model.requests[0]["messages"]
    assert [block["source"] for block in sent[2]["content"][0]["content"]] == ["https://a.com"]
    assert sent[2]["content"][0]["content"][0]["content"] == [text("A")]
    assert sent[4]["content"][0]["is_error"] is True
    assert "earlier web search" in str(sent[3]) and "https://a.com" in str(sent[3])


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (429, "too_many_requests"),
        (414, "request_too_large"),
        (503, "unavailable"),
        (400, "invalid_tool_input"),
    ],
)
def test_what_the_engine_refuses(
    searching: httpx2.Client, model: Model, engine: Engine, status: int, code: str
) -> None:
    engine.play(Answer(b"{}", status))
    model.play([search("prices")], [text("No prices.")])
    message = post(searching, ask("Go.", tools=[SEARCH]))
    assert codes(message) == [code]
    assert searches(message) == 0
    assert message["stop_reason"] == "end_turn"
    (result,) = told(model)
    assert result["is_error"] is True
    assert code in result["content"][0]["text"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "invalid_tool_input"),
        ({"query": 7}, "invalid_tool_input"),
        ({"query": " \n"}, "invalid_tool_input"),
        ({"query": "\ud800"}, "invalid_tool_input"),
        ({"query": "x" * 2001}, "query_too_long"),
    ],
)
def test_what_the_model_asks_wrongly(
    searching: httpx2.Client, model: Model, engine: Engine, given: dict[str, Any], code: str
) -> None:
    model.play([search("") | {"input": given}], [text("No.")])
    assert codes(post(searching, ask("Go.", tools=[SEARCH]))) == [code]
    assert not engine.asked


def test_domains(searching: httpx2.Client, model: Model, engine: Engine) -> None:
    """They hold whatever the engine does with them."""
    for lists, urls in (
        ({"allowed_domains": ["example.com"]}, [PAGES[0]["url"]]),
        ({"blocked_domains": ["example.com", "example.org/x"]}, [PAGES[1]["url"]]),
        ({"allowed_domains": ["example.net"]}, []),
        ({"allowed_domains": [], "blocked_domains": None}, [page["url"] for page in PAGES]),
    ):
        model.play([search("prices")], [text("Well.")])
        message = post(searching, ask("Go.", tools=[SEARCH | lists]))
        assert [page["url"] for page in message["content"][1]["content"]] == urls
        assert searches(message) == 1
        if not urls:
            assert told(model)[0]["content"] == [text("Nothing was found.")]
    assert "Only pages of example.net" not in model.requests[0]["tools"][0]["description"]
    engine.play()
    model.play([search("prices")], [text("Well.")])
    message = post(searching, ask("Go.", tools=[SEARCH | {"allowed_domains": ["*.example.com"]}]))
    assert codes(message) == ["invalid_tool_input"]
    assert not engine.asked
    assert "*.example.com" in told(model)[0]["content"][0]["text"]


def test_the_most_uses_of_an_answer(searching: httpx2.Client, model: Model, engine: Engine) -> None:
    wrong = search("") | {"id": "toolu_0"}
    model.play(
        [wrong, search("a", "toolu_1")], [search("b", "toolu_2"), search("c", "toolu_3")], [text("Done.")]
    )
    message = post(searching, ask("Go.", tools=[SEARCH | {"max_uses": 2}]))
    assert codes(message) == ["invalid_tool_input", "found", "found", "max_uses_exceeded"]
    assert searches(message) == 2
    assert [asked.query["q"] for asked in engine.asked] == ["a", "b"]
    assert "At most 2 searches" in model.requests[0]["tools"][0]["description"]


def test_the_place_of_the_user(searching: httpx2.Client, model: Model, engine: Engine) -> None:
    place = {
        "type": "approximate",
        "city": "Oslo",
        "country": "NO",
        "timezone": "Europe/Oslo",
        "region": None,
    }
    model.play([text("Well.")])
    post(
        searching,
        ask("Go.", tools=[SEARCH | {"user_location": place, "cache_control": {"type": "ephemeral"}}]),
    )
    (tool,) = model.requests[0]["tools"]
    assert "Oslo, NO, Europe/Oslo." in tool["description"]
    assert tool["cache_control"] == {"type": "ephemeral"}


def test_searches_side_by_side(searching: httpx2.Client, model: Model, engine: Engine) -> None:
    """Each answer waits for the other search; the results stand in the order of the uses, between others."""
    both = threading.Barrier(2)
    engine.play(*(Answer(found(PAGES).body, until=both) for _ in range(2)))
    model.play(
        [search("a", "toolu_1"), bash("echo between"), search("b", "toolu_2"), code("print('last')")],
        [text("Done.")],
    )
    message = post(searching, ask("Go.", tools=[*offering("20260120"), SEARCH]))
    assert types(message)[4:8] == [
        "web_search_tool_result",
        "bash_code_execution_tool_result",
        "web_search_tool_result",
        "code_execution_tool_result",
    ]
    assert [block["tool_use_id"] for block in told(model)] == ["toolu_1", "toolu_b", "toolu_2", "toolu_01a"]
    assert searches(message) == 2
    assert message["usage"]["server_tool_use"]["code_execution_requests"] == 2


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "web_search"}])
def test_a_search_by_choice(
    searching: httpx2.Client, model: Model, engine: Engine, choice: dict[str, Any]
) -> None:
    model.play([search("prices")], [text("B.")])
    message = post(searching, ask("Go.", tools=BOTH, tool_choice=choice), OFFICIAL)
    assert types(message) == ["server_tool_use", "web_search_tool_result", "text"]
    assert [request["tool_choice"] for request in model.requests] == [choice, {"type": "auto"}]


def test_beside_a_tool_of_the_client(searching: httpx2.Client, model: Model, engine: Engine) -> None:
    """The search waits for the next request, which begins with its result."""
    mine = {"name": "mine", "input_schema": {"type": "object"}}
    use = {"type": "tool_use", "id": "toolu_m", "name": "mine", "input": {}}
    model.play([search("prices"), use])
    first = post(searching, ask("Go.", tools=[SEARCH, mine]))
    assert types(first) == ["server_tool_use", "tool_use"]
    assert first["stop_reason"] == "tool_use"
    assert not engine.asked
    result = {"type": "tool_result", "tool_use_id": "toolu_m", "content": "mine"}
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [result]},
    ]
    model.play([text("Done.")])
    second = post(searching, ask(history, tools=[SEARCH, mine]))
    assert types(second) == ["web_search_tool_result", "text"]
    assert [block["tool_use_id"] for block in told(model)] == ["toolu_s", "toolu_m"]


def test_a_count_of_tokens_searches_for_nothing(
    searching: httpx2.Client, model: Model, engine: Engine
) -> None:
    use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
    history = [{"role": "user", "content": "Go."}, {"role": "assistant", "content": [use]}]
    model.play(answered({"input_tokens": 9}))
    answer = searching.post("/v1/messages/count_tokens", json=ask(history, tools=[SEARCH]))
    assert answer.json() == {"input_tokens": 9}
    assert not engine.asked


def test_without_an_engine(http: httpx2.Client, model: Model) -> None:
    model.play([search("prices")], [text("I cannot search.")])
    message = post(http, ask("Go.", tools=BOTH), OFFICIAL)
    assert codes(message) == ["unavailable"]
    assert "no search engine" in told(model)[0]["content"][0]["text"]
    assert 'belljar_searches_total{backend="none",outcome="unavailable"} 1.0' in http.get("/metrics").text


def test_metrics(searching: httpx2.Client, model: Model, engine: Engine) -> None:
    def count(outcome: str) -> float:
        start = f'belljar_searches_total{{backend="searxng",outcome="{outcome}"}} '
        lines = searching.get("/metrics").text.splitlines()
        return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))

    before = count("found"), count("too_many_requests")
    engine.play(Answer(b"{}", 429))
    model.play([search("a", "toolu_1")], [search("b", "toolu_2")], [text("Done.")])
    post(searching, ask("Go.", tools=[SEARCH]))
    assert (count("found"), count("too_many_requests")) == (before[0] + 1, before[1] + 1)


def test_attachments_need_code(searching: httpx2.Client, model: Model) -> None:
    sent = searching.post("/v1/files", files={"file": ("a.txt", b"a")}).json()
    block = {"type": "container_upload", "file_id": sent["id"]}
    answer = searching.post("/v1/messages", json=ask([{"role": "user", "content": [block]}], tools=[SEARCH]))
    assert answer.status_code == 400
    assert "needs the code execution tool" in answer.text


def test_models_can_search(tmp_path: Path, engine: Engine, model: Model) -> None:
    """Of servers of their own: what models there are is remembered for a minute, whoever has asked."""
    for place, is_supported in ((f"searxng:{engine.url}", True), ("", False)):
        model.play(answered({"data": [{"id": "m-search"}]}))
        with serving(
            tmp_path, upstream=f"anthropic:{model.url}", search=place, preload={}, parked=0
        ) as server:
            [listed] = httpx2.get(f"{server.url}/v1/models", timeout=60).json()["data"]
        assert listed["capabilities"]["server_tools"]["web_search"] == {"supported": is_supported}


# -- searches by code ----------------------------------------------------------------------------------------

FOR_CODE = NEW | {"allowed_callers": ["code_execution_20260120"]}
BY_CODE = """
import asyncio, json
first, second = await asyncio.gather(web_search({"query": "a"}), web_search({"query": "b"}))
print([page["title"] for page in json.loads(first)], json.loads(second)[1]["text"])
try:
    await web_search({"query": ""})
except RuntimeError as error:
    print(error)
"""


def test_code_searches(searching: httpx2.Client, model: Model, engine: Engine) -> None:
    tools = [*offering("20260120"), FOR_CODE]
    model.play([code(BY_CODE)], [text("Done.")])
    message = post(searching, ask("Go.", tools=tools))
    pairs = ["server_tool_use", "web_search_tool_result"] * 3
    assert types(message) == ["server_tool_use", *pairs, "code_execution_tool_result", "text"]
    caller = {"type": "code_execution_20260120", "tool_id": "srvtoolu_01a"}
    for use, result in zip(message["content"][1:7:2], message["content"][2:7:2], strict=True):
        assert use["name"] == "web_search"
        assert use["caller"] == result["caller"] == caller
        assert result["tool_use_id"] == use["id"]
    assert codes(message).count("found") == 2
    assert searches(message) == 2
    assert message["content"][0]["caller"] == {"type": "direct"}
    printed = message["content"][-2]["content"]["stdout"]
    assert printed == (
        "['Shares today', 'Tech shares'] B leads at 20.\ninvalid_tool_input: The query is empty.\n"
    )
    *_, last = sent = model.requests[0]["tools"]
    assert [tool["name"] for tool in sent] == [
        "bash_code_execution",
        "text_editor_code_execution",
        "code_execution",
    ]
    assert "- web_search(input): Search the web" in last["description"]

    # The model hears of what the code printed, and of nothing else.
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": "And?"},
    ]
    model.play([text("Well.")])
    post(searching, ask(history, tools=tools, container=message["container"]["id"]))
    sent_back = model.requests[0]["messages"]
    assert [[block["type"] for block in said["content"]] for said in sent_back] == [
        ["text"],
        ["tool_use"],
        ["tool_result"],
        ["text"],
        ["text"],
    ]


def test_code_searches_beside_tools_of_the_client(
    searching: httpx2.Client, model: Model, engine: Engine
) -> None:
    weather = {
        "name": "weather",
        "input_schema": {"type": "object"},
        "allowed_callers": ["code_execution_20260120"],
    }
    tools = [*offering("20260120"), FOR_CODE | {"max_uses": 1, "response_inclusion": "excluded"}, weather]
    source = """
print(len(await web_search({"query": "a"})) > 10)
print(await weather({}))
try:
    await web_search({"query": "b"})
except RuntimeError as error:
    print("max_uses_exceeded" in str(error))
"""
    model.play([code(source)])
    first = post(searching, ask("Go.", tools=tools))
    # The code has not ended: its search is shown whatever `response_inclusion` says.
    assert types(first) == ["server_tool_use", "server_tool_use", "web_search_tool_result", "tool_use"]
    result = {"type": "tool_result", "tool_use_id": first["content"][-1]["id"], "content": "mild"}
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [result]},
    ]
    model.play([text("Done.")])
    second = post(searching, ask(history, tools=tools, container=first["container"]["id"]))
    assert types(second) == ["code_execution_tool_result", "text"]
    assert second["content"][0]["content"]["stdout"] == "True\nmild\nTrue\n"
    assert [searches(message) for message in (first, second)] == [1, 0]


# -- searches by the upstream --------------------------------------------------------------------------------

THEIR_USE = {
    "type": "server_tool_use",
    "id": "srvtoolu_up1",
    "name": "web_search",
    "input": {"query": "prices"},
}
THEIR_RESULT = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_up1",
    "content": [
        {
            "type": "web_search_result",
            "url": "https://a.com",
            "title": "A",
            "encrypted_content": "EqgfCioIARgBIiQ3YTAwMjY1",
            "page_age": None,
        }
    ],
}
THEIR_TEXT = {
    "type": "text",
    "text": "B leads.",
    "citations": [
        {
            "type": "web_search_result_location",
            "url": "https://a.com",
            "title": "A",
            "encrypted_index": "Eo8BCioIAhgBIiQy",
            "cited_text": "B",
        }
    ],
}


@pytest.mark.parametrize("profile", ["anthropic", "inline"])
def test_the_upstream_searches(leaving: httpx2.Client, model: Model, profile: str) -> None:
    tool = NEW | {"max_uses": 3, "allowed_callers": ["direct"], "something": "new"}
    usage = {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 1}}
    turn = said([text("Let me see."), THEIR_USE, THEIR_RESULT, THEIR_TEXT, code("print(20)")]) | {
        "usage": usage
    }
    model.play(turn, [text("Done.")])
    headers = {"belljar-profile": profile}
    message = post(leaving, ask("Go.", tools=[TOOL, tool]), headers)
    assert model.requests[0]["tools"][1] == tool
    assert message["content"][1:4] == [THEIR_USE, THEIR_RESULT, THEIR_TEXT]
    assert message["usage"]["server_tool_use"] == {
        "web_search_requests": 1,
        "web_fetch_requests": 0,
        "code_execution_requests": 1,
    }
    theirs = [text("Let me see."), THEIR_USE, THEIR_RESULT, THEIR_TEXT, code("print(20)")]
    assert model.requests[1]["messages"][1]["content"] == theirs
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": "And?"},
    ]
    model.play([text("Well.")])
    post(leaving, ask(history, tools=[TOOL, tool]), headers)
    sent = model.requests[0]["messages"]
    assert sent[1]["content"] == theirs
    assert [block["type"] for block in sent[2]["content"]] == ["tool_result"]
    assert sent[3]["content"] == [text("Done.")]


def test_what_the_upstream_did_before_and_after_code(leaving: httpx2.Client, model: Model) -> None:
    """Its blocks stay where they stood, in a stream too; a turn that it has paused goes back as it is."""
    late_use, late_result = (
        {**THEIR_USE, "id": "srvtoolu_up2"},
        {**THEIR_RESULT, "tool_use_id": "srvtoolu_up2"},
    )
    model.play(
        [THEIR_USE, THEIR_RESULT, code("print(1)")], said([late_use, late_result, THEIR_USE], "pause_turn")
    )
    events = stream(leaving, ask("Go.", tools=[TOOL, SEARCH]), OFFICIAL)
    content = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [content[at] for at in (0, 1, 4, 5, 6)] == [
        THEIR_USE,
        THEIR_RESULT,
        late_use,
        late_result,
        THEIR_USE,
    ]
    delta = next(event for event in events if event["type"] == "message_delta")
    assert delta["delta"]["stop_reason"] == "pause_turn"
    use = next(block for block in content if block.get("name") == "code_execution")
    use["input"] = {"code": "print(1)"}
    dangling = {**THEIR_USE, "id": "srvtoolu_up3"}
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": [*content[:-1], dangling]},
    ]
    model.play([text("Done.")])
    post(leaving, ask(history, tools=[TOOL, SEARCH]), OFFICIAL)
    sent = model.requests[0]["messages"]
    assert sent[1]["content"] == [THEIR_USE, THEIR_RESULT, code("print(1)")]
    assert sent[3]["content"] == [late_use, late_result, dangling]


def test_code_of_the_upstream_that_searched(leaving: httpx2.Client, model: Model) -> None:
    """The newer tools search from code that runs at the upstream: all of that is its own."""
    own_code = {
        "type": "server_tool_use",
        "id": "srvtoolu_c",
        "name": "code_execution",
        "input": {"code": "await web_search({})"},
    }
    nested = THEIR_USE | {"caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_c"}}
    ran = {
        "type": "code_execution_tool_result",
        "tool_use_id": "srvtoolu_c",
        "content": {
            "type": "encrypted_code_execution_result",
            "encrypted_stdout": "Eo8B",
            "stderr": "",
            "return_code": 0,
            "content": [],
        },
    }
    model.play([own_code, nested, THEIR_RESULT, ran, THEIR_TEXT])
    message = post(leaving, ask("Go.", tools=[NEW]))
    assert message["content"] == [own_code, nested, THEIR_RESULT, ran, THEIR_TEXT]
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": "And?"},
    ]
    model.play([text("Well.")])
    post(leaving, ask(history, tools=[NEW]))
    assert model.requests[0]["messages"][1]["content"] == message["content"]


def test_what_was_found_here_before(
    searching: httpx2.Client, leaving: httpx2.Client, model: Model, engine: Engine
) -> None:
    """An upstream that searches itself could not open what we have sealed."""
    model.play([search("prices")], [text("B.") | {"citations": [cited(0, PAGES[0]["url"])]}])
    message = post(searching, ask("Go.", tools=[SEARCH]))
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": [*message["content"], THEIR_USE, THEIR_RESULT, THEIR_TEXT]},
        {"role": "user", "content": "And?"},
    ]
    model.play([text("Well.")])
    post(leaving, ask(history, tools=[SEARCH]))
    sent = model.requests[0]["messages"]
    assert sent[1]["content"] == [search("prices")]
    assert PAGES[0]["content"] in sent[2]["content"][0]["content"][0]["text"]
    assert sent[3]["content"] == [text("B."), THEIR_USE, THEIR_RESULT, THEIR_TEXT]


def test_the_start_says_how_to_search(tmp_path: Path, model: Model) -> None:
    """The fake server's first line is read by `serving`; what follows it is read here."""
    with serving(tmp_path, upstream=f"anthropic:{model.url}", preload={}, parked=0) as server:
        assert server.process.stdout is not None
        said = [server.process.stdout.readline() for _ in range(2)]
    assert any("--search" in line and "unavailable" in line for line in said)


def test_code_cannot_search_without_end(searching: httpx2.Client, model: Model, engine: Engine) -> None:
    source = """
done = 0
try:
    while True:
        await web_search({"query": "a"})
        done += 1
except RuntimeError as error:
    print(done, error)
"""
    model.play([code(source)], [text("Done.")])
    tool = FOR_CODE | {"response_inclusion": "excluded"}
    message = post(searching, ask("Go.", tools=[*offering("20260120"), tool]))
    assert types(message) == ["server_tool_use", "code_execution_tool_result", "text"]
    assert message["content"][1]["content"]["stdout"].startswith("100 max_uses_exceeded")
    assert searches(message) == len(engine.asked) == 100


@pytest.mark.parametrize("cites", [True, False])
def test_pages_share_the_budget_of_a_result(cites: bool) -> None:
    pages = [Found(f"https://a.com/{number}", "A", "x" * 4000) for number in range(4)]
    result = {"type": "tool_result", "tool_use_id": "toolu_s", "content": citing.content(pages)}
    sent, _ = citing.sendable([{"role": "user", "content": [result]}], 100, cites=cites)
    assert 380 <= str(sent).count("x") <= 440
    assert str(sent).count("left out") == 4
