"""The same conversations through every kind of upstream, each with a real server that speaks its dialect."""

from __future__ import annotations

import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from chatting import ChatModel, Chunks, chunk
from serving import BreakOff, Model, Raw, Refusal, Stall, said, text, thinking, told

from belljar.errors import UpstreamError
from belljar.gateway.turn import MessageFold, Rewriter
from belljar.gateway.upstream import Caller, Request, Upstream
from belljar.gateway.upstream.opening import open_upstream
from belljar.gateway.upstream.scripted import Script, ScriptedUpstream
from belljar.settings import Settings

pytestmark = pytest.mark.anyio

TOOLS = [
    {"name": name, "description": "Runs.", "input_schema": {"type": "object", "properties": {}}}
    for name in ("code_execution", "weather")
]
PIXEL = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
IMAGE = {"type": "image", "source": PIXEL}


def use(name: str, given: object, use_id: str = "toolu_1") -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": name, "input": given}


class Played:
    """An upstream without a server, whose turn is put into a script."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.upstream: Upstream = ScriptedUpstream(Script.model_validate({"conversation": [{"turn": [{}]}]}))

    def play(self, content: list[dict[str, Any]]) -> None:
        turn: dict[str, Any] = {"uses": []}
        for block in content:
            if block["type"] == "tool_use":
                turn["uses"].append({"name": block["name"], "input": block["input"]})
            else:
                turn[block["type"]] = block[block["type"]]
        self.upstream = ScriptedUpstream(Script.model_validate({"conversation": [{"turn": [turn]}]}))


@pytest.fixture(scope="module")
def chat_model() -> Iterator[ChatModel]:
    with ChatModel() as model:
        yield model


@pytest.fixture(params=["anthropic", "openai"])
def playing(request: pytest.FixtureRequest) -> tuple[str, Model]:
    model = request.getfixturevalue({"anthropic": "the_model", "openai": "chat_model"}[request.param])
    model.play()
    return request.param, model


@pytest.fixture
async def upstream(playing: tuple[str, Model]) -> AsyncIterator[Upstream]:
    kind, model = playing
    settings = Settings(
        upstream=f"{kind}:{model.url}", upstream_api_key="the-key-of-this-test", upstream_timeout_seconds=5
    )
    async with open_upstream(settings) as upstream:
        yield upstream


def asking(*messages: dict[str, Any], **more: Any) -> Request:
    history = list(messages) or [{"role": "user", "content": "Go."}]
    return {
        "model": "model-1",
        "max_tokens": 100,
        "messages": history,
        "tools": TOOLS,
        "stream": True,
        **more,
    }


async def answer(upstream: Upstream, request: Request) -> MessageFold:
    fold = MessageFold()
    opened: set[int] = set()
    async with aclosing(upstream.stream(request, Caller())) as events:  # type: ignore[type-var]
        async for event in events:
            fold.add(event)
            if event["type"] == "content_block_start":
                assert not opened, "one block at a time"
                opened.add(event["index"])
            elif event["type"] == "content_block_stop":
                opened.remove(event["index"])
    assert fold.stopped and not opened
    return fold


def shown(fold: MessageFold) -> list[tuple[Any, ...]]:
    out: list[tuple[Any, ...]] = []
    for block in fold.blocks:
        if block["type"] == "tool_use":
            out.append((block["name"], block["input"]))
        else:
            out.append((block["type"], block[block["type"]]))
    return out


@pytest.mark.parametrize("kind", ["anthropic", "openai", "scripted"])
@pytest.mark.parametrize(
    ("content", "stop_reason"),
    [
        ([text("It is four, and no more than that.")], "end_turn"),
        ([thinking("Two and two are four."), text("Four.")], "end_turn"),
        ([text("Let me see."), use("code_execution", {"code": "print('ä' * 20)"})], "tool_use"),
        (
            [
                thinking("Both at once."),
                use("code_execution", {"code": "print(1) # " + "x" * 50}, "toolu_1"),
                use("weather", {"city": "Linz", "days": [1, 2]}, "toolu_2"),
                use("code_execution", {"code": "print(3)"}, "toolu_3"),
            ],
            "tool_use",
        ),
    ],
    ids=["text", "thinking", "one use", "parallel uses"],
)
async def test_what_a_model_says(
    kind: str, content: list[dict[str, Any]], stop_reason: str, request: pytest.FixtureRequest
) -> None:
    if kind == "scripted":
        played = Played()
        played.play(content)
        fold = await answer(played.upstream, asking())
    else:
        model = request.getfixturevalue({"anthropic": "the_model", "openai": "chat_model"}[kind])
        model.play(content)
        async with open_upstream(Settings(upstream=f"{kind}:{model.url}")) as upstream:
            assert upstream.kind == kind
            fold = await answer(upstream, asking())
        usage = fold.message["usage"]
        assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (
            100,
            1,
            10,
        )
        assert fold.message["model"] == "model-1-20260101"
    assert shown(fold) == [
        (block["name"], block["input"])
        if block["type"] == "tool_use"
        else (block["type"], block[block["type"]])
        for block in content
    ]
    assert fold.stop_reason == stop_reason
    ids = [block["id"] for block in fold.blocks if block["type"] == "tool_use"]
    assert len(set(ids)) == len(ids)
    assert all(name.startswith("toolu_") for name in ids)


async def test_a_history_with_results_and_images(upstream: Upstream, playing: tuple[str, Model]) -> None:
    kind, model = playing
    model.play([text("So.")])
    uses = [use("code_execution", {"code": "plot()"}, "toolu_a"), use("weather", {}, "toolu_b")]
    results = [
        {"type": "tool_result", "tool_use_id": "toolu_b", "content": "rain", "is_error": True},
        {"type": "tool_result", "tool_use_id": "toolu_a", "content": [text("drawn"), IMAGE]},
    ]
    request = asking(
        {"role": "user", "content": [text("Draw."), IMAGE]},
        {"role": "assistant", "content": [text("I draw."), *uses]},
        {"role": "user", "content": [*results, text("And now?")]},
        system=[text("Be brief."), text("Be kind.")],
    )
    assert shown(await answer(upstream, request)) == [("text", "So.")]
    (sent,) = model.requests
    if kind == "anthropic":
        assert sent == request
        return
    system, drawn, said_before, first, second, last = sent["messages"]
    assert system == {"role": "system", "content": "Be brief.\n\nBe kind."}
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    assert drawn["content"][1] == url
    assert said_before["content"] == "I draw."
    plot, weather = said_before["tool_calls"]
    assert plot["function"] == {"name": "code_execution", "arguments": '{"code": "plot()"}'}
    assert (first["tool_call_id"], second["tool_call_id"]) == (weather["id"], plot["id"])
    assert "rain" in first["content"] and "error" in first["content"]
    assert second["content"] == "drawn"
    assert last["content"][1:] == [url, text("And now?")]


async def test_malformed_arguments(upstream: Upstream, playing: tuple[str, Model]) -> None:
    playing[1].play([use("code_execution", 'print("never closed')])
    fold = MessageFold()
    rewriter = Rewriter(0, frozenset({"code_execution"}))
    async with aclosing(upstream.stream(asking(), Caller())) as events:  # type: ignore[type-var]
        async for event in events:
            fold.add(event)
            list(rewriter.rewrite(event))
    assert fold.blocks[0]["input"] == {}
    (broken,) = rewriter.our_uses()
    assert isinstance(broken.input, str) and "never closed" in broken.input


async def test_max_tokens(upstream: Upstream, playing: tuple[str, Model]) -> None:
    playing[1].play(said([text("It is")], "max_tokens"))
    fold = await answer(upstream, asking())
    assert (fold.stop_reason, shown(fold)) == ("max_tokens", [("text", "It is")])


async def test_a_refusal_that_passes_is_tried_again(upstream: Upstream, playing: tuple[str, Model]) -> None:
    error = b'{"type": "error", "error": {"type": "rate_limit_error", "message": "slowly"}}'
    busy = Refusal(429, error, {"retry-after": "0", "content-type": "application/json"})
    playing[1].play(busy, BreakOff([text("never")], 0), [text("Now.")])
    assert shown(await answer(upstream, asking())) == [("text", "Now.")]
    assert len(playing[1].requests) == 3


async def test_a_refusal_that_lasts(upstream: Upstream, playing: tuple[str, Model]) -> None:
    error = b'{"type": "error", "error": {"type": "rate_limit_error", "message": "not before noon"}}'
    playing[1].play(Refusal(429, error, {"retry-after": "3600"}))
    with pytest.raises(UpstreamError, match="not before noon") as caught:
        await answer(upstream, asking())
    assert (caught.value.status, caught.value.kind) == (429, "rate_limit_error")
    assert caught.value.retry_after == "3600"
    assert len(playing[1].requests) == 1, "who asks for an hour is not waited for"


async def test_a_break_off_in_the_middle(upstream: Upstream, playing: tuple[str, Model]) -> None:
    playing[1].play(BreakOff([text("It is four, and no more.")], 4), [text("never")])
    with pytest.raises(UpstreamError, match="broke off") as caught:
        await answer(upstream, asking())
    assert caught.value.status == 502
    assert len(playing[1].requests) == 1, "what has begun is never asked for again"


async def test_half_an_event(upstream: Upstream, playing: tuple[str, Model]) -> None:
    _, model = playing
    whole = list(model.lines([text("It is four.")]))
    model.play(Raw([*whole[:3], whole[3][:20]]))
    with pytest.raises(UpstreamError, match="broke off"):
        await answer(upstream, asking())
    model.play(Raw([*whole[:3], whole[3][:40] + b"\n\n"]))
    with pytest.raises(UpstreamError, match="not JSON"):
        await answer(upstream, asking())
    assert len(model.requests) == 1


async def test_a_stall(playing: tuple[str, Model]) -> None:
    kind, model = playing
    go_on = threading.Event()
    settings = Settings(upstream=f"{kind}:{model.url}", upstream_timeout_seconds=0.3)
    try:
        async with open_upstream(settings) as upstream:
            for events in (0, 3):
                model.play(Stall(go_on, [text("It is four.")], events))
                with pytest.raises(UpstreamError, match="in time") as caught:
                    await answer(upstream, asking())
                assert (caught.value.status, caught.value.kind) == (504, "timeout_error")
                assert len(model.requests) == 1
    finally:
        go_on.set()


async def test_models_and_counts(upstream: Upstream, playing: tuple[str, Model]) -> None:
    kind, model = playing
    listed = Refusal(200, b'{"data": [{"id": "m-1"}, {"id": "m-2"}]}')
    model.play(listed, Refusal(404, b"no such thing"))
    assert [one["id"] for one in await upstream.models(Caller())] == ["m-1", "m-2"]
    assert await upstream.model("m-2", Caller()) == {"id": "m-2"}
    assert await upstream.count_tokens(asking(), Caller()) is None
    key = {"anthropic": ("x-api-key", "the-key"), "openai": ("authorization", "Bearer the-key")}[kind]
    assert model.headers[0][key[0]].startswith(key[1])


@pytest.mark.parametrize("status", [400, 401])
async def test_a_server_that_repeats_the_key(
    upstream: Upstream, playing: tuple[str, Model], status: int
) -> None:
    body = b'{"error": {"message": "Incorrect API key provided: the-key-of-this-test", "type": "x"}}'
    playing[1].play(Refusal(status, body))
    with pytest.raises(UpstreamError, match=r"provided: \[the key\]") as caught:
        await answer(upstream, asking())
    assert caught.value.status == status
    assert "the-key-of-this-test" not in "".join(traceback.format_exception(caught.value))


@pytest.fixture
async def chat(chat_model: ChatModel) -> AsyncIterator[Upstream]:
    chat_model.play()
    async with open_upstream(Settings(upstream=f"openai:{chat_model.url}", upstream_retries=0)) as upstream:
        yield upstream


async def test_fields_that_a_server_names_otherwise(chat: Upstream, chat_model: ChatModel) -> None:
    named = [{"error": {"message": f"use '{name}'"}} for name in ("max_completion_tokens", "stream_options")]
    chat_model.play(told(named[0], 400), told(named[1], 422), [text("So.")], [text("Again.")])
    assert shown(await answer(chat, asking())) == [("text", "So.")]
    assert shown(await answer(chat, asking())) == [("text", "Again.")]
    last = chat_model.requests[-1]
    assert (len(chat_model.requests), last["max_completion_tokens"]) == (4, 100), "it is remembered"
    assert not {"max_tokens", "stream_options"} & set(last)
    chat_model.play(told(named[0], 400))
    with pytest.raises(UpstreamError, match="max_completion_tokens"):
        await answer(chat, asking())


async def test_servers_that_do_not_stream_or_forget_the_end(chat: Upstream, chat_model: ChatModel) -> None:
    whole = {"choices": [{"message": {"content": "Whole."}, "finish_reason": "stop"}]}
    chat_model.play(
        told(whole),
        Chunks([chunk({"content": "No done."}, "stop")], forgets_done=True),
        Chunks([chunk({"content": "No reason."})]),
        Chunks([chunk({"content": "Neither."})], forgets_done=True),
        Chunks([]),
        told({"hello": 1}),
    )
    for words in ("Whole.", "No done.", "No reason."):
        assert shown(await answer(chat, asking())) == [("text", words)]
    for says in ("broke off", "broke off", "does it speak"):
        with pytest.raises(UpstreamError, match=says):
            await answer(chat, asking())
