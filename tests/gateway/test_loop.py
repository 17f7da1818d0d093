"""What the loop does at its edges: the turn limit, a container that goes, a keeper that dies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import Keepers, settings
from serving import TOOL, code, said, text

from belljar import errors
from belljar.gateway import offered
from belljar.gateway.access import Client
from belljar.gateway.activity import Activity
from belljar.gateway.answer import Asked
from belljar.gateway.app import open_parts
from belljar.gateway.files import Facts
from belljar.gateway.loop import answer
from belljar.gateway.parts import Parts
from belljar.gateway.turn import MessageFold, events_of
from belljar.gateway.upstream import Caller, Event, Request, Traits
from belljar.wire.messages import MessageRequest

pytestmark = pytest.mark.anyio


class Played:
    """An upstream with turns of its own."""

    kind = "played"

    def __init__(self, *turns: list[dict[str, Any]], counts: bool = True) -> None:
        self.turns = list(turns)
        self.counts = counts
        self.requests: list[Request] = []
        self.of_model = Traits()

    def traits(self, model_id: str) -> Traits:
        return self.of_model

    async def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        self.requests.append(request)
        message = said(self.turns.pop(0))
        if not self.counts:
            message["usage"] = {"input_tokens": 0, "output_tokens": 0}
        for event in events_of(message):
            yield event


@asynccontextmanager
async def parts_with(state: Path, upstream: Played, keepers: Keepers, **more: object) -> AsyncIterator[Parts]:
    async with open_parts(settings(state, **more), keepers.start) as parts:
        yield replace(parts, upstream=upstream)


async def send(
    parts: Parts, messages: list[dict[str, Any]], client: Client | None = None, **more: Any
) -> dict[str, Any]:
    body = {"model": "m", "max_tokens": 10, "messages": messages, "tools": [TOOL], **more}
    request = MessageRequest.model_validate(body)
    fold = MessageFold()

    async def emit(event: Event) -> None:
        fold.add(event)

    tools = offered.read(request.tools or [], request.tool_choice)
    container = request.container if isinstance(request.container, str) else None
    activity = Activity("req_1", "POST", client or Client())
    await parts.ledger.admit(activity.client, activity.meter)
    asked = Asked(request, container, Caller(), "anthropic", frozenset(), tools, activity)
    await answer(parts, asked, emit)
    return fold.result()


def shapes(message: dict[str, Any]) -> list[str]:
    return [block["type"] for block in message["content"]]


async def test_no_more_runs_at_once_than_the_key_may_have(tmp_path: Path) -> None:
    upstream = Played(
        [code("one", "toolu_1")], [code("two", "toolu_2")], [code("three", "toolu_3")], [text("End.")]
    )
    client = Client(tenant="acme", most_executions=1)
    async with parts_with(tmp_path, upstream, Keepers()) as parts:
        go = [{"role": "user", "content": "Go."}]
        with client.execution(), pytest.raises(errors.RateLimited, match="1 executions"):
            await send(parts, go, client)
        assert parts.placement.load.live == 0
        told = await send(parts, go, client)  # and afterwards as often as it likes, one after the other
        assert [block["content"]["stdout"] for block in told["content"] if "tool_use_id" in block] == [
            "two",
            "three",
        ]
        container = told["container"]["id"]
        assert parts.placement.find(container, "acme").tenant == "acme"
        with pytest.raises(errors.NotFound):
            parts.placement.find(container, "default")


async def test_pause_turn_and_on(tmp_path: Path) -> None:
    upstream = Played(
        [code("one", "toolu_1")], [code("two", "toolu_2")], [code("three", "toolu_3")], [text("End.")]
    )
    async with parts_with(tmp_path, upstream, Keepers(), max_turns=2) as parts:
        history = [{"role": "user", "content": "Go."}]
        first = await send(parts, history)
        assert first["stop_reason"] == "pause_turn"
        assert shapes(first) == ["server_tool_use", "code_execution_tool_result", "server_tool_use"]

        history.append({"role": "assistant", "content": first["content"]})
        second = await send(parts, history, container=first["container"]["id"])
        assert second["stop_reason"] == "end_turn"
        assert second["container"]["id"] == first["container"]["id"]
        assert shapes(second) == [
            "code_execution_tool_result",
            "server_tool_use",
            "code_execution_tool_result",
            "text",
        ]
        assert second["content"][0]["tool_use_id"] == first["content"][2]["id"]
        assert second["content"][0]["content"]["stdout"] == "two"
        resumed = upstream.requests[2]["messages"]
        assert [message["role"] for message in resumed] == ["user", "assistant", "user", "assistant", "user"]
        assert resumed[4]["content"][0]["tool_use_id"] == "toolu_2"


async def test_a_user_who_interrupts(tmp_path: Path) -> None:
    upstream = Played([code("one", "toolu_1")], [text("Fine.")])
    async with parts_with(tmp_path, upstream, Keepers(), max_turns=1) as parts:
        history = [{"role": "user", "content": "Go."}]
        first = await send(parts, history)
        history += [{"role": "assistant", "content": first["content"]}, {"role": "user", "content": "Stop."}]
        second = await send(parts, history)
        assert shapes(second) == ["text"]
        result, words = upstream.requests[1]["messages"][2]["content"]
        assert result["is_error"] is True
        assert "not run" in result["content"][0]["text"]
        assert words == text("Stop.")


async def test_a_tool_that_is_offered_no_more(tmp_path: Path) -> None:
    upstream = Played([code("one", "toolu_1")], [text("Fine.")])
    async with parts_with(tmp_path, upstream, Keepers(), max_turns=1) as parts:
        history = [{"role": "user", "content": "Go."}]
        first = await send(parts, history)
        history.append({"role": "assistant", "content": first["content"]})
        second = await send(parts, history, tools=None)
        assert shapes(second) == ["text"]
        assert "not run" in upstream.requests[1]["messages"][2]["content"][0]["content"][0]["text"]


async def test_a_keeper_that_dies_under_a_conversation(tmp_path: Path) -> None:
    keepers = Keepers()
    upstream = Played([code("dies", "toolu_1")], [code("lives", "toolu_2")], [text("So.")])
    async with parts_with(tmp_path, upstream, keepers) as parts:
        message = await send(parts, [{"role": "user", "content": "Go."}])
        failed, lives = message["content"][1], message["content"][3]
        assert failed["content"] == {"type": "code_execution_tool_result_error", "error_code": "unavailable"}
        assert lives["content"]["stdout"] == "lives"
        assert upstream.requests[1]["messages"][2]["content"][0]["is_error"] is True
        assert parts.placement.find(message["container"]["id"], "default")


async def test_no_place_for_a_session(tmp_path: Path) -> None:
    async with parts_with(
        tmp_path, Played([code("one")]), Keepers(), max_sessions=1, queue_seconds=0.2
    ) as parts:
        taken = await parts.placement.create(parts.settings.limits(), "default")
        async with parts.placement.hold(taken.id):
            with pytest.raises(errors.Overloaded):
                await send(parts, [{"role": "user", "content": "Go."}])


async def test_no_place_for_an_upload(tmp_path: Path) -> None:
    """The answer is as good without a container, where nothing was to be run."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"1"

    upstream = Played([text("What shall I do with it?")])
    async with parts_with(tmp_path, upstream, Keepers(), max_sessions=1, queue_seconds=0.2) as parts:
        files = parts.files.of("default", 1000)
        file = await files.receive(pieces(), lambda: Facts("a.csv", "text/csv", None))
        taken = await parts.placement.create(parts.settings.limits(), "default")
        async with parts.placement.hold(taken.id):
            content = [{"type": "container_upload", "file_id": file.id}]
            message = await send(parts, [{"role": "user", "content": content}])
        assert shapes(message) == ["text"]
        assert message["container"] is None


async def test_usage_is_summed(tmp_path: Path) -> None:
    upstream = Played([code("one", "toolu_1")], [code("two", "toolu_2")], [text("End.")])
    async with parts_with(tmp_path, upstream, Keepers()) as parts:
        message = await send(parts, [{"role": "user", "content": "Go."}])
        assert message["usage"]["input_tokens"] == 300
        assert message["usage"]["output_tokens"] == 30


async def test_an_unknown_model_runs_nothing_that_waits(tmp_path: Path) -> None:
    class Unknown(Played):
        def traits(self, model_id: str) -> Traits:
            raise errors.NotFound(f"model: there is no {model_id}")

    keepers = Keepers()
    use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "code_execution", "input": {"code": "x"}}
    history = [{"role": "user", "content": "Go."}, {"role": "assistant", "content": [use]}]
    async with parts_with(tmp_path, Unknown(), keepers) as parts:
        with pytest.raises(errors.NotFound, match="there is no m"):
            await send(parts, history)
        assert parts.placement.load.containers == 0
    async with parts_with(tmp_path / "known", Played([text("Done.")]), keepers) as parts:
        known = await send(parts, history)
        assert shapes(known) == ["code_execution_tool_result", "text"], "else it would have been run"


async def test_a_budget_that_is_spent_on_the_way_ends_the_answer(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'name = "p"\ncurrency = "USD"\ncharges = { output = "output" }\n'
        '[[models]]\nmodel = "*"\nprice = { output = 100000 }\n'
    )
    upstream = Played([code("one", "toolu_1")], [code("two", "toolu_2")], [text("never")])
    client = Client(has_key=True, key_id="key_1", budget=1_500_000)  # a turn has ten tokens: one dollar
    async with parts_with(tmp_path, upstream, Keepers(), price_plan=str(plan)) as parts:
        message = await send(parts, [{"role": "user", "content": "Go."}], client)
        assert len(upstream.requests) == 2
        assert shapes(message)[-2:] == ["code_execution_tool_result", "text"]
        assert (message["stop_reason"], message["usage"]["belljar"]["amount"]) == ("end_turn", "2.00")
        assert "may spend 1.50 USD this month" in message["content"][-1]["text"]
        with pytest.raises(errors.BudgetSpent):
            await send(parts, [{"role": "user", "content": "Go."}], client)


WEATHER = {"name": "weather", "input_schema": {"type": "object"}}


def weather(given: object, use_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": "weather", "input": given}


async def test_input_of_the_callers_tools_that_is_broken_goes_back_to_the_model(tmp_path: Path) -> None:
    upstream = Played(
        [text("Let me see."), weather("{oops", "toolu_1")],
        [weather("{oops", "toolu_2"), code("one", "toolu_3")],
        [weather({"place": "Oslo"}, "toolu_4"), weather("{oops", "toolu_5")],
    )
    upstream.of_model = Traits(is_guided=True)
    async with parts_with(tmp_path, upstream, Keepers()) as parts:
        message = await send(parts, [{"role": "user", "content": "Go."}], tools=[TOOL, WEATHER])
    assert shapes(message) == ["text", "server_tool_use", "code_execution_tool_result", "tool_use"]
    assert message["content"][-1] == weather({"place": "Oslo"}, "toolu_4")
    assert message["stop_reason"] == "tool_use"
    (error,) = upstream.requests[1]["messages"][-1]["content"]
    assert (error["tool_use_id"], error["is_error"]) == ("toolu_1", True)
    assert "not a JSON object" in error["content"][0]["text"]
    answered = [block["tool_use_id"] for block in upstream.requests[2]["messages"][-1]["content"]]
    assert sorted(answered) == ["toolu_2", "toolu_3"]


async def test_a_model_that_breaks_every_input_is_heard_three_times(tmp_path: Path) -> None:
    upstream = Played(*[[weather("{oops", f"toolu_{turn}")] for turn in range(9)])
    upstream.of_model = Traits(is_guided=True)
    async with parts_with(tmp_path, upstream, Keepers()) as parts:
        message = await send(
            parts, [{"role": "user", "content": "Go."}], tools=[WEATHER], tool_choice={"type": "any"}
        )
    assert (len(upstream.requests), shapes(message), message["stop_reason"]) == (3, ["text"], "end_turn")
    assert "3 times in a row" in message["content"][0]["text"]
    assert [request["tool_choice"]["type"] for request in upstream.requests] == ["any"] * 3


async def test_a_model_that_is_not_guided_is_passed_on_as_it_is(tmp_path: Path) -> None:
    upstream = Played([weather("{oops", "toolu_1")])
    async with parts_with(tmp_path, upstream, Keepers()) as parts:
        message = await send(parts, [{"role": "user", "content": "Go."}], tools=[WEATHER])
    assert (shapes(message), message["stop_reason"]) == (["tool_use"], "tool_use")


@pytest.mark.parametrize("is_guided", [True, False])
async def test_a_model_hears_what_its_container_has(tmp_path: Path, is_guided: bool) -> None:
    upstream = Played([code("one", "toolu_1")], [text("Done.")], [text("Again.")], [text("And again.")])
    upstream.of_model = Traits(is_guided=is_guided)
    async with parts_with(tmp_path, upstream, Keepers()) as parts:
        first = await send(parts, [{"role": "user", "content": "Go."}])
        assert all("[The sandbox" not in str(request) for request in upstream.requests), "there was none yet"
        container = parts.placement.find(first["container"]["id"], "default")
        container.given["sales.csv"] = ""
        more = [
            {"role": "user", "content": "Go."},
            {"role": "assistant", "content": first["content"]},
            {"role": "user", "content": "And?"},
        ]
        await send(parts, more, container=container.id)
        container.last_word = (
            "It ended. The session's variables are lost with the interpreter, its files are kept."
        )
        await send(parts, more, container=container.id)
    kept, lost = (request["messages"][-1]["content"] for request in upstream.requests[2:])
    if not is_guided:
        assert kept == lost == [text("And?")]
        return
    assert kept[0] == lost[0] == text("And?")
    assert "so far: sales.csv. Variables and imports of earlier code are still there." in kept[1]["text"]
    assert "variables are lost with the interpreter" in lost[1]["text"]


async def test_what_the_model_server_does_not_count_is_estimated(tmp_path: Path) -> None:
    upstream = Played([code("print(1)", "toolu_1")], [text("One. " * 40)], counts=False)
    async with parts_with(tmp_path, upstream, Keepers()) as parts:
        message = await send(parts, [{"role": "user", "content": "Go."}])
        exposed = (await parts.telemetry.exposition(parts.placement)).decode()
    assert message["usage"]["input_tokens"] > 600, "the tools count in both turns"
    assert message["usage"]["output_tokens"] > 50
    assert message["usage"]["belljar"] == {"estimated": True}
    assert "belljar_turns_estimated_total 2.0" in exposed
    upstream = Played([text("One.")], counts=False)
    upstream.of_model = Traits(is_model=False)
    async with parts_with(tmp_path / "none", upstream, Keepers()) as parts:
        without = await send(parts, [{"role": "user", "content": "Go."}])
    assert without["usage"]["output_tokens"] == 0
    assert "belljar" not in without["usage"]
