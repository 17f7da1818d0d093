"""The caller's tools as functions in the code: the code waits from one request to the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from serving import Events, Model, Server, Wait, ask, bash, code, said, serving, text, told
from test_messages import post, stream, types
from test_tools import offering, results

from belljar.errors import InvalidRequest
from belljar.gateway import offered
from belljar.gateway.turn import events_of

WEATHER = {
    "name": "get_weather",
    "description": "The weather at a place.",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    "allowed_callers": ["code_execution_20260120"],
}
TOOLS = [*offering("20260120"), WEATHER]
ONE = "answer = await get_weather({'place': 'Oslo'})\nprint(answer)"


class Talk:
    """A conversation, as a client of the official SDK keeps it."""

    def __init__(self, http: httpx2.Client, **more: Any) -> None:
        self.http = http
        self.more = {"tools": TOOLS} | more
        self.messages: list[dict[str, Any]] = []
        self.container: str | None = None

    def say(self, content: Any) -> dict[str, Any]:
        self.messages.append({"role": "user", "content": content})
        more = self.more | ({"container": self.container} if self.container else {})
        message = post(self.http, ask(self.messages, **more))
        self.messages.append({"role": "assistant", "content": message["content"]})
        if message["container"]:
            self.container = message["container"]["id"]
        return message

    def answer(self, message: dict[str, Any], **answers: str) -> dict[str, Any]:
        """Answer each call by the place that it asks for."""
        return self.say([reply(call, answers[call["input"]["place"]]) for call in calls(message)])


def calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [block for block in message["content"] if block["type"] == "tool_use"]


def reply(call: dict[str, Any], answer: str, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call["id"], "content": answer, **more}


def test_a_count_of_tokens_disturbs_nobody_who_waits(http: httpx2.Client, model: Model) -> None:
    model.play(
        [code(ONE, "toolu_01c")], told({"input_tokens": 5}), told({"input_tokens": 6}), [text("Sunny.")]
    )
    talk = Talk(http)
    first = talk.say("What is the weather in Oslo?")
    (call,) = calls(first)
    for words, tokens in (([reply(call, "sunny")], 5), ("Never mind.", 6)):
        messages = [*talk.messages, {"role": "user", "content": words}]
        asked = ask(messages, container=talk.container, **talk.more)
        answer = http.post("/v1/messages/count_tokens", json=asked)
        assert answer.json() == {"input_tokens": tokens}
    second = talk.answer(first, Oslo="sunny")
    assert types(second) == ["code_execution_tool_result", "text"]
    assert second["content"][0]["content"]["stdout"] == "sunny\n"


def test_one_call(http: httpx2.Client, model: Model) -> None:
    model.play([text("Let me look."), code(ONE, "toolu_01c")], [text("It is sunny.")])
    talk = Talk(http)
    first = talk.say("What is the weather in Oslo?")
    assert types(first) == ["text", "server_tool_use", "tool_use"]
    assert first["stop_reason"] == "tool_use"
    use, call = first["content"][1:]
    assert use["caller"] == {"type": "direct"}
    assert call["caller"] == {"type": "code_execution_20260120", "tool_id": "srvtoolu_01c"}
    assert (call["name"], call["input"]) == ("get_weather", {"place": "Oslo"})
    assert call["id"].startswith("toolu_")
    sent = {tool["name"]: tool for tool in model.requests[0]["tools"]}
    assert "get_weather" not in sent
    assert "get_weather(input): The weather at a place." in sent["code_execution"]["description"]

    second = talk.answer(first, Oslo="sunny, 21 °C")
    assert types(second) == ["code_execution_tool_result", "text"]
    assert second["content"][0]["tool_use_id"] == "srvtoolu_01c"
    assert results(second)[0]["stdout"] == "sunny, 21 °C\n"
    counts = [message["usage"]["server_tool_use"]["code_execution_requests"] for message in (first, second)]
    assert counts == [1, 0]
    assert second["stop_reason"] == "end_turn"
    # The model never hears of the call: it wrote code, and gets what it printed.
    (user, said, result) = model.requests[1]["messages"]
    assert [block["type"] for block in said["content"]] == ["text", "tool_use"]
    assert [block["tool_use_id"] for block in result["content"]] == ["toolu_01c"]
    assert "get_weather" not in str(user) and "sunny" in str(result)

    model.play([text("Goodbye.")])
    third = talk.say("Thanks.")
    assert types(third) == ["text"]
    roles = [message["role"] for message in model.requests[0]["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


def test_calls_side_by_side_and_one_after_the_other(http: httpx2.Client, model: Model) -> None:
    source = """
import asyncio
async def main():
    print(await asyncio.gather(*[get_weather({"place": place}) for place in ("Oslo", "Rome")]))
    print(await get_weather({"place": "Lima"}))
asyncio.run(main())
"""
    model.play([code(source), bash("echo behind", "toolu_b")], [text("Done.")])
    talk = Talk(http)
    first = talk.say("Go.")
    assert types(first) == ["server_tool_use", "server_tool_use", "tool_use", "tool_use"]
    second = talk.answer(first, Oslo="wet", Rome="dry")
    assert types(second) == ["tool_use"]
    assert second["stop_reason"] == "tool_use"
    third = talk.answer(second, Lima="foggy")
    assert types(third) == ["code_execution_tool_result", "bash_code_execution_tool_result", "text"]
    assert [result["stdout"] for result in results(third)] == ["['wet', 'dry']\nfoggy\n", "behind\n"]
    assert len(model.requests) == 2


def test_a_stream(http: httpx2.Client, model: Model) -> None:
    model.play([code(ONE)], [text("Sunny.")])
    events = stream(http, ask("Go.", tools=TOOLS))
    start = [event for event in events if event["type"] == "content_block_start"][-1]
    assert start["content_block"]["input"] == {"place": "Oslo"}
    delta = next(event for event in events if event["type"] == "message_delta")
    assert delta["delta"]["stop_reason"] == "tool_use"
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": [{**_use(ONE)}, start["content_block"]]},
        {"role": "user", "content": [reply(start["content_block"], "mild")]},
    ]
    events = stream(http, ask(history, tools=TOOLS, container=delta["delta"]["container"]["id"]))
    blocks = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [block["type"] for block in blocks] == ["code_execution_tool_result", "text"]
    assert blocks[0]["content"]["stdout"] == "mild\n"


def _use(source: str) -> dict[str, Any]:
    return {
        "type": "server_tool_use",
        "id": "srvtoolu_01a",
        "name": "code_execution",
        "input": {"code": source},
        "caller": {"type": "direct"},
    }


def test_answers_in_every_form(http: httpx2.Client, model: Model) -> None:
    source = """
import asyncio
for n in range(4):
    asked = [get_weather({"place": str(n)}), get_weather({"place": "b"})][: 1 + (n == 3)]
    print(*map(repr, await asyncio.gather(*asked, return_exceptions=True)))
"""
    model.play([code(source)], [text("Done.")])
    talk = Talk(http)
    message = talk.say("Go.")
    parts = [{"type": "text", "text": "a"}, {"type": "stray"}, {"type": "text", "text": "b"}]
    message = talk.say([{**reply(calls(message)[0], ""), "content": parts}])
    message = talk.say([{"type": "tool_result", "tool_use_id": calls(message)[0]["id"]}])
    message = talk.say([reply(calls(message)[0], "no such place", is_error=True)])
    # One of two, and words beside it: the other has failed, and the code is not left waiting.
    message = talk.say([reply(calls(message)[1], "b"), text("What takes so long?")])
    assert results(message)[0]["stdout"].splitlines() == [
        r"'a\nb'",
        "''",
        "RuntimeError('no such place')",
        "RuntimeError('The caller has sent no result of this call.') 'b'",
    ]
    assert "What takes so long?" in str(model.requests[1]["messages"][-1])


def test_words_instead_of_results(http: httpx2.Client, model: Model) -> None:
    model.play([code(ONE)], [text("Well.")])
    talk = Talk(http)
    talk.say("Go.")
    assert types(talk.say("Never mind.")) == ["text"]
    result, words = model.requests[1]["messages"][-1]["content"]
    assert "went on without them" in str(result) and words["text"] == "Never mind."


def test_nobody_answers_in_time(hasty: httpx2.Client, model: Model) -> None:
    """The first call waits in vain; those behind it need not: nobody is there who could hear of them."""
    source = """
for _ in range(3):
    try:
        await get_weather({'place': 'Oslo'})
    except TimeoutError as error:
        print(error)
"""
    model.play([code(source)])
    talk = Talk(hasty)
    first = talk.say("Go.")
    while hasty.get(f"/v1/containers/{talk.container}").json()["state"] == "running":
        time.sleep(0.05)
    model.play([text("Late.")])
    second = talk.answer(first, Oslo="sunny")
    assert types(second) == ["code_execution_tool_result", "text"]
    assert results(second)[0]["stdout"].splitlines() == [
        "get_weather: nobody has answered within 2 seconds",
        *["get_weather: nobody is there any more who would answer"] * 2,
    ]


def test_thinking_takes_no_time_of_the_code(hasty: httpx2.Client, model: Model) -> None:
    source = "for place in ('a', 'b', 'c'):\n    print(await get_weather({'place': place}))"
    model.play([code(source)], [text("Done.")])
    talk = Talk(hasty)
    message = talk.say("Go.")
    for place in "abc":
        time.sleep(0.6)
        message = talk.answer(message, **{place: place * 2})
    assert results(message)[0]["stdout"] == "aa\nbb\ncc\n"


def test_the_conversation_goes_on_without(http: httpx2.Client, model: Model) -> None:
    """Another message in the container ends code that waits; its use is answered for the model."""
    model.play([code("kept = 1\n" + ONE)], [code("print(kept)", "toolu_2")], [text("Done.")])
    talk = Talk(http)
    talk.say("Go.")
    container = talk.container
    other = Talk(http)
    other.container = container
    message = other.say("Something else.")
    assert results(message)[0]["stdout"] == "1\n"


def test_code_that_is_gone(http: httpx2.Client, model: Model) -> None:
    model.play([code(ONE)], [text("Pity.")])
    talk = Talk(http)
    first = talk.say("Go.")
    fresh = Talk(http)
    model.play([bash("true")], [text("Made.")], [text("Pity.")])
    fresh.say("Make a container.")
    talk.container = fresh.container
    second = talk.answer(first, Oslo="sunny")
    assert types(second) == ["code_execution_tool_result", "text"]
    assert results(second)[0]["error_code"] == "unavailable"


def test_the_container_is_needed(http: httpx2.Client, model: Model) -> None:
    model.play([code(ONE)])
    talk = Talk(http)
    first = talk.say("Go.")
    history = [*talk.messages, {"role": "user", "content": [reply(calls(first)[0], "sunny")]}]
    answer = http.post("/v1/messages", json=ask(history, tools=TOOLS))
    assert answer.status_code == 400
    assert "container_id is required when there are pending tool uses" in answer.json()["error"]["message"]


def test_where_the_container_is_gone_the_model_is_told_so(
    tmp_path: Any, model: Model, the_model: Model
) -> None:
    changed = {"upstream": f"anthropic:{the_model.url}", "preload": {}, "container_missing": "renew"}
    with serving(tmp_path, **changed) as server, httpx2.Client(base_url=server.url, timeout=60) as http:
        model.play([code(ONE)], [text("Pity.")])
        talk = Talk(http)
        first = talk.say("Go.")
        assert http.delete(f"/v1/containers/{talk.container}").is_success
        second = talk.answer(first, Oslo="sunny")
        assert types(second) == ["code_execution_tool_result", "text"]
        assert results(second)[0]["error_code"] == "unavailable"


def test_a_caller_who_hangs_up_ends_the_code(http: httpx2.Client, model: Model) -> None:
    until = threading.Event()
    model.play([code("import time\nopen('begun', 'w')\ntime.sleep(1000)")], Wait(until, [text("Never.")]))
    container = http.post("/v1/containers", json={}).json()["id"]
    with pytest.raises(httpx2.ReadTimeout):
        http.post("/v1/messages", json=ask("Go.", tools=TOOLS, container=container), timeout=2)
    # The container is free again at once: the code has not the thirty seconds that it could have.
    done = http.post(
        "/v1/executions", json={"code": "import os; print(os.listdir())", "container": container}
    )
    assert "begun" in done.json()["stdout"]


def test_direct_calls_and_calls_by_code(http: httpx2.Client, model: Model) -> None:
    both = {**WEATHER, "name": "get-time", "allowed_callers": ["direct", "code_execution_20260521"]}
    direct = {"type": "tool_use", "id": "toolu_d", "name": "get-time", "input": {}}
    model.play([code("print(await get_time({'place': 'x'}))"), direct])
    talk = Talk(http, tools=[*offering("20260521"), both])
    first = talk.say("Go.")
    # The client's own comes first; then the code, with the call that it makes.
    assert [call["id"] for call in calls(first)] == ["toolu_d"]
    assert calls(first)[0]["caller"] == {"type": "direct"}
    assert "allowed_callers" not in str(model.requests[0]["tools"])
    second = talk.say([reply(calls(first)[0], "noon")])
    (call,) = calls(second)
    # Clients' types know no later caller than this.
    assert (call["name"], call["caller"]["type"]) == ("get-time", "code_execution_20260120")
    model.play([text("Noon.")])
    third = talk.say([reply(call, "one o'clock")])
    assert results(third)[0]["stdout"] == "one o'clock\n"
    results_sent = [block["tool_use_id"] for block in model.requests[0]["messages"][2]["content"]]
    assert results_sent == ["toolu_01a", "toolu_d"]


@pytest.mark.parametrize(
    ("tools", "more", "says"),
    [
        ([WEATHER], {}, "needs a code execution tool"),
        ([*offering("20250522"), WEATHER], {}, "needs a code execution tool"),
        ([*offering("20260120"), WEATHER | {"allowed_callers": ["me"]}], {}, "allowed_callers"),
        ([*offering("20260120"), WEATHER | {"allowed_callers": []}], {}, "allowed_callers"),
        ([*offering("20260120"), WEATHER | {"strict": True}], {}, "strict"),
        (
            [
                *offering("20260120"),
                WEATHER | {"input_schema": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}},
            ],
            {},
            "Circular $ref detected",
        ),
        (
            [*offering("20260120"), WEATHER, WEATHER | {"name": "get-weather"}],
            {},
            "would both be get_weather()",
        ),
        (TOOLS, {"tool_choice": {"type": "tool", "name": "get_weather"}}, "lack 'direct'"),
        (
            TOOLS,
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            "disable_parallel_tool_use",
        ),
    ],
)
def test_requests_that_cannot_be(
    http: httpx2.Client, tools: list[dict[str, Any]], more: dict[str, Any], says: str
) -> None:
    answer = http.post("/v1/messages", json=ask("Go.", tools=tools, **more))
    assert answer.status_code == 400, answer.text
    assert says in answer.json()["error"]["message"]


def test_a_schema_in_which_the_ways_double() -> None:
    """Sixty definitions, each of which names the next one twice."""
    definitions: dict[str, Any] = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)}
    schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": definitions}
    started = time.monotonic()
    offered.read([*offering("20260120"), WEATHER | {"input_schema": schema}], None)
    assert time.monotonic() - started < 5
    definitions["d60"] = {"items": [{"$ref": "#/$defs/d9"}]}
    with pytest.raises(InvalidRequest, match="Circular"):
        offered.read([*offering("20260120"), WEATHER | {"input_schema": schema}], None)


def test_an_old_version_with_callers_has_cells(http: httpx2.Client, model: Model) -> None:
    tools = [*offering("20250825"), WEATHER | {"allowed_callers": ["code_execution_20250825"]}]
    model.play([code(ONE)], [text("Sunny.")])
    talk = Talk(http, tools=tools)
    first = talk.say("Go.")
    assert calls(first)[0]["caller"]["type"] == "code_execution_20250825"
    assert results(talk.answer(first, Oslo="sunny"))[0]["stdout"] == "sunny\n"


def test_an_answer_that_takes_too_long_is_paused(hasty: httpx2.Client, model: Model) -> None:
    def late() -> Iterator[dict[str, Any]]:
        time.sleep(1.1)
        yield from events_of(said([code("print('third')", "toolu_1")]))

    model.play(Events(late()), [text("End.")])
    talk = Talk(hasty, tools=offering("20260120"))
    first = talk.say("Go.")
    assert first["stop_reason"] == "pause_turn"
    assert types(first)[-1] == "server_tool_use"
    paused = talk.messages.pop()
    history = [*talk.messages, paused]
    second = post(hasty, ask(history, tools=offering("20260120"), container=talk.container))
    assert types(second) == ["code_execution_tool_result", "text"]
    assert results(second)[0]["stdout"] == "third\n"


def test_a_model_is_not_asked_again_when_its_code_has_taken_too_long(
    hasty: httpx2.Client, model: Model
) -> None:
    def late() -> Iterator[dict[str, Any]]:
        time.sleep(0.5)
        yield from events_of(said([code("import time; time.sleep(0.6); print('ran')")]))

    model.play(Events(late()), [text("End.")])
    tools = offering("20260120")
    talk = Talk(hasty, tools=tools)
    first = talk.say("Go.")
    assert first["stop_reason"] == "pause_turn"
    assert [result["stdout"] for result in results(first)] == ["ran\n"]
    assert types(first)[-1] == "code_execution_tool_result"
    assert len(model.requests) == 1
    paused = talk.messages.pop()
    second = post(hasty, ask([*talk.messages, paused], tools=tools, container=talk.container))
    assert (second["stop_reason"], types(second)) == ("end_turn", ["text"])
    assert "ran" in str(model.requests[-1]["messages"][-1]["content"])


def test_the_end_of_the_server_ends_code_that_waits(tmp_path: Any, model: Model, the_model: Model) -> None:
    with serving(tmp_path, upstream=f"anthropic:{the_model.url}", upstream_api_key="k", preload={}) as server:
        model.play([code(ONE)])
        with httpx2.Client(base_url=server.url, timeout=60) as http:
            assert Talk(http).say("Go.")["stop_reason"] == "tool_use"
        assert isinstance(server, Server)
        assert server.end() == 0
        assert "Traceback" not in server.log.read_text()


def test_two_requests_begin_code_in_one_container(http: httpx2.Client, model: Model) -> None:
    """The later one has it: the code of the first ends, and its caller is told so."""
    model.play([code(ONE, "toolu_first")])
    first = Talk(http)
    asked = first.say("Go.")
    second = Talk(http)
    second.container = first.container
    model.play([code(ONE, "toolu_second")])
    again = second.say("Go.")
    model.play([text("Sunny.")], [text("Pity.")])
    assert results(second.answer(again, Oslo="sunny"))[0]["stdout"] == "sunny\n"
    assert results(first.answer(asked, Oslo="wet"))[0]["error_code"] == "unavailable"
