"""Model servers that do not keep to their own form: whoever asks is told so, and it is no failure of ours."""

from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import Model, Raw, Refusal, ask, code, said, sse, text, told

from belljar.errors import InvalidRequest, UpstreamError
from belljar.gateway.turn import MessageFold, events_of
from belljar.gateway.upstream import Caller
from belljar.gateway.upstream.opening import open_upstream
from belljar.settings import Settings

pytestmark = pytest.mark.anyio

WORDS = list(events_of(said([text("It is four.")]), 5))
USE = list(events_of(said([code("print(1)")]), 10))
START = WORDS[0]["message"]


def sent(*events: Any) -> Raw:
    lines = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return Raw([b"data: " + line + b"\n\n" for line in lines])


def but(place: int, events: list[dict[str, Any]] = WORDS, **fields: Any) -> Raw:
    """The events, of which one is otherwise."""
    place %= len(events)
    return sent(*events[:place], events[place] | fields, *events[place + 1 :])


def whole(block: dict[str, Any]) -> Refusal:
    return told(said([]) | {"content": [block]})


GZIPPED = {"content-encoding": "gzip"}
JSON = {"content-type": "application/json"}
STREAMS = {
    "no start": sent(*WORDS[1:]),
    "two starts": sent(WORDS[0], *WORDS),
    "an array": sent(*WORDS[:2], [1], *WORDS[2:]),
    "no type": sent(*WORDS[:2], {"type": []}, *WORDS[2:]),
    "much nesting": sent(*WORDS[:2], b"[" * 100_000),
    "not JSON": sent(*WORDS[:2], b"{nonsense"),
    "no message": but(0, message="hello"),
    "usage in words": but(0, message=START | {"usage": "little"}),
    "a model that is a list": but(0, message=START | {"model": [1]}),
    "a block that is a text": but(1, content_block="text"),
    "a block without a type": but(1, content_block={"text": ""}),
    "a text that is a number": but(1, content_block={"type": "text", "text": 5}),
    "an index that is a text": but(1, index="0"),
    "a use without an id": but(1, USE, content_block={"type": "tool_use", "name": "code_execution"}),
    "a use without a name": but(1, USE, content_block={"type": "tool_use", "id": "toolu_1", "input": {}}),
    "a delta that is nothing": but(2, delta=None),
    "a delta of nothing": but(2, delta={"type": "text_delta"}),
    "a citation that is a text": but(2, delta={"type": "citations_delta", "citation": "p. 5"}),
    "a delta for no block": but(2, index=7),
    "a delta behind the end": sent(*WORDS[:-2], WORDS[2], *WORDS[-2:]),
    "a stop for no block": but(-3, index=7),
    "a block begun twice": sent(*WORDS[:2], *WORDS[1:]),
    "an end in words": but(-2, delta="end_turn"),
    "a reason that is a list": but(-2, delta={"stop_reason": ["end_turn"]}),
    "a count in words": but(-2, usage="many"),
    "a number that is none": sent(*WORDS[:-2], b'{"type": "message_delta", "delta": {"x": NaN}}', WORDS[-1]),
    "an infinite number": sent(*WORDS[:-2], b'{"type": "message_delta", "delta": {"x": 1e999}}', WORDS[-1]),
    "an error of a type that is a list": sent({"type": "error", "error": {"type": [], "message": "no"}}),
}
DOCUMENTS = {
    "not compressed": Refusal(200, b"hello", GZIPPED | JSON),
    "a stream that is not compressed": Refusal(
        200, b"hello", GZIPPED | {"content-type": "text/event-stream"}
    ),
    "null": told(None),
    "content null": told(said([]) | {"content": None}),
    "much nesting": Refusal(200, b"[" * 100_000, JSON),
    "usage in words": told(said([text("So.")]) | {"usage": "little"}),
    "text that is a number": whole({"type": "text", "text": 5}),
    "thinking that is a number": whole({"type": "thinking", "thinking": 5}),
    "a use without a name": whole({"type": "tool_use", "id": "toolu_1", "input": {}}),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("turn", [*STREAMS.values(), *DOCUMENTS.values()], ids=[*STREAMS, *DOCUMENTS])
async def test_what_makes_no_sense_is_a_failure_of_the_model_server(
    http: httpx2.Client, model: Model, turn: Any, stream: bool
) -> None:
    model.play(turn)
    answer = http.post("/v1/messages", json=ask("Go.", stream=stream))
    if answer.status_code == 200 and stream:
        events = sse(iter(answer.text.splitlines()))
        assert events[0]["type"] == "message_start"
        assert events[-1]["type"] == "error"
        error = events[-1]["error"]
    else:
        assert answer.status_code == 502
        error = answer.json()["error"]
    assert error["type"] == "api_error"
    assert "The model server" in error["message"] or error["message"] == "no"


@pytest.mark.parametrize("turn", STREAMS.values(), ids=STREAMS)
async def test_the_same_behind_fences(tmp_path: Path, model: Model, turn: Any) -> None:
    table = tmp_path / "models.toml"
    table.write_text(
        f"[[upstream]]\nname = 'here'\nkind = 'anthropic'\nurl = '{model.url}'\n"
        "[[model]]\nid = 'model-1'\nupstream = 'here'\nfences = true\n"
    )
    model.play(turn)
    request = ask("Go.", tools=[{"name": "code_execution", "description": "Runs.", "input_schema": {}}])
    async with open_upstream(Settings(models=table, upstream_retries=0)) as upstream:
        with pytest.raises(UpstreamError):
            async with aclosing(upstream.stream(request, Caller())) as events:  # type: ignore[type-var]
                async for _ in events:
                    pass


def refused(status: int, body: bytes, **headers: str) -> Refusal:
    return Refusal(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("turn", "status"),
    [
        (refused(500, b"hello", content_encoding="gzip"), 502),
        (refused(500, b"[" * 100_000), 500),
        (refused(429, b"{}", retry_after="Mon, 01 Jan 99999999999999999999999 00:00:00 GMT"), 429),
        (refused(429, b"{}", retry_after="soon \xe9"), 429),
    ],
    ids=["not compressed", "much nesting", "a year that there is not", "not ASCII"],
)
async def test_refusals_in_odd_forms(http: httpx2.Client, model: Model, turn: Refusal, status: int) -> None:
    model.play(turn)
    answer = http.post("/v1/messages", json=ask("Go."))
    assert answer.status_code == status
    assert "The model server" in answer.json()["error"]["message"]


async def test_what_can_be_meant_in_one_way_only_is_put_in(http: httpx2.Client, model: Model) -> None:
    bare = {"type": "tool_use", "id": "toolu_1", "name": "code_execution"}
    for turn, words in ((whole(bare), "code"), (but(1, USE, content_block=bare | {"input": ""}), "1")):
        model.play(turn, [text("So.")])
        assert http.post("/v1/messages", json=ask("Go.")).json()["content"][-1] == text("So.")
        (result,) = model.requests[1]["messages"][-1]["content"]
        assert words in result["content"][0]["text"]
    model.play(whole({"type": "text", "text": None}))
    assert http.post("/v1/messages", json=ask("Go.")).json()["content"] == [text("")]
    thinking = {"type": "thinking", "thinking": None, "signature": None}
    more = {"type": "thinking_delta", "thinking": "Hm."}
    for block in (thinking, text("") | thinking | {"type": "text"}):
        model.play(but(1, content_block=block | {"text": ""}))
        assert http.post("/v1/messages", json=ask("Go.")).status_code == 200
        model.play(
            sent(WORDS[0], WORDS[1] | {"content_block": block}, WORDS[2] | {"delta": more}, *WORDS[-3:])
        )
        assert http.post("/v1/messages", json=ask("Go.")).status_code == 200
    model.play(but(0, message=START | {"usage": None}))
    assert http.post("/v1/messages", json=ask("Go.")).json()["content"] == [text("It is four.")]


@pytest.mark.parametrize("profile", ["inline", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_block_whose_end_is_left_out_ends_with_the_message(
    http: httpx2.Client, model: Model, stream: bool, profile: str
) -> None:
    def endless(*blocks: dict[str, Any]) -> Raw:
        events = events_of(said(list(blocks)), 5)
        return sent(*(event for event in events if event["type"] != "content_block_stop"))

    model.play(endless(text("Two."), code("print(2)")), endless(text("So.")))
    headers = {"belljar-profile": profile}
    answer = http.post("/v1/messages", json=ask("Go.", stream=stream), headers=headers)
    (result,) = model.requests[1]["messages"][-1]["content"]
    assert result["content"][0]["text"] == "2"
    if not stream:
        message = answer.json()
    else:
        fold = MessageFold()
        ends = 0
        for event in sse(iter(answer.text.splitlines())):
            fold.add(event)
            ends += event["type"] == "content_block_stop"
        message = fold.result()
        assert ends == len(message["content"])
    assert message["content"][0] == text("Two.")
    assert message["content"][1]["input"] == {"code": "print(2)"}
    assert message["content"][-1] == text("So.")


async def test_a_reason_to_stop_that_is_left_out_is_the_one_that_clients_wait_for(
    http: httpx2.Client, model: Model
) -> None:
    weather = {"type": "tool_use", "id": "toolu_w", "name": "weather", "input": {}}
    tools = [*ask("")["tools"], {"name": "weather", "input_schema": {"type": "object"}}]
    for content, reason in ([text("So.")], "end_turn"), ([weather], "tool_use"):
        model.play(sent(*(event for event in events_of(said(content)) if event["type"] != "message_delta")))
        answer = http.post("/v1/messages", json=ask("Go.", tools=tools)).json()
        assert (answer["content"], answer["stop_reason"]) == (content, reason)


async def test_a_use_that_is_cut_off_is_not_run(http: httpx2.Client, model: Model) -> None:
    """Its end is left out, and half of its input."""
    events = [event for event in USE if event["type"] != "content_block_stop"]
    place = max(at for at, event in enumerate(events) if event["type"] == "content_block_delta")
    model.play(sent(*events[:place], *events[place + 1 :]), [text("So.")])
    assert http.post("/v1/messages", json=ask("Go.")).json()["content"][-1] == text("So.")
    (result,) = model.requests[1]["messages"][-1]["content"]
    assert result["is_error"]
    assert "JSON" in result["content"][0]["text"]


async def test_blocks_that_all_have_one_number_are_told_apart(http: httpx2.Client, model: Model) -> None:
    events = events_of(
        said([text("Two and one."), code("print(2)", "toolu_2"), code("print(1)", "toolu_1")]), 5
    )
    model.play(
        sent(*(event | {"index": 0} if "index" in event else event for event in events)), [text("So.")]
    )
    assert http.post("/v1/messages", json=ask("Go.")).json()["content"][-1] == text("So.")
    results = model.requests[1]["messages"][-1]["content"]
    assert [result["content"][0]["text"] for result in results] == ["2", "1"]


async def test_headers_that_are_not_ascii_go_on_as_they_are(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    caller = Caller(api_key="sk-\xfc", betas=("one\xe9",))
    async with open_upstream(Settings(upstream=f"anthropic:{model.url}")) as upstream:
        model.play([text("So.")])
        async with aclosing(upstream.stream(ask("Go.", tools=[]), caller)) as events:  # type: ignore[type-var]
            assert [event["type"] async for event in events][-1] == "message_stop"
        assert await upstream.models(caller) == []
    for headers in model.headers:
        assert (headers["x-api-key"], headers["anthropic-beta"]) == ("sk-\xfc", "one\xe9")


@pytest.mark.parametrize("key", ["sk-\u4e00", "sk-secret\n", "sk-\x00"])
async def test_a_key_that_no_header_can_have_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(InvalidRequest, match="one line of ASCII") as caught:
        async with open_upstream(Settings(upstream="anthropic:http://h", upstream_api_key=key)):
            pass
    assert "sk-" not in str(caught.value)


async def test_two_uses_with_one_id_have_a_result_each(http: httpx2.Client, model: Model) -> None:
    model.play([code("print(1)", "toolu_same"), code("print(2)", "toolu_same")], [text("So.")])
    tools = [{"type": "code_execution_20250522", "name": "code_execution"}]
    headers = {"anthropic-beta": "code-execution-2025-05-22"}
    answer = http.post("/v1/messages", json=ask("Go.", tools=tools), headers=headers).json()
    uses = [block["id"] for block in answer["content"] if block["type"] == "server_tool_use"]
    results = [block for block in answer["content"] if block["type"] == "code_execution_tool_result"]
    assert len(set(uses)) == 2
    assert [block["tool_use_id"] for block in results] == uses
    assert [block["content"]["stdout"] for block in results] == ["1\n", "2\n"]
    first, second = model.requests[1]["messages"][-1]["content"]
    assert [first["content"][0]["text"], second["content"][0]["text"]] == ["1", "2"]
    # What is sent again is understood again.
    model.play([text("Yes.")])
    history = [*ask("Go.")["messages"], {"role": "assistant", "content": answer["content"]}]
    again = ask([*history, {"role": "user", "content": "And?"}], tools=tools)
    assert http.post("/v1/messages", json=again, headers=headers).status_code == 200
