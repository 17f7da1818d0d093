"""The agent loop over HTTP: a model that says what the test tells it to, and code that really runs."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import anthropic
import httpx2
import pytest
from serving import TOOL, Events, Model, Refusal, Server, Wait, ask, code, said, sse, text, thinking

from belljar.gateway.turn import events_of

OFFICIAL = {"anthropic-beta": "code-execution-2025-05-22"}


def post(http: httpx2.Client, body: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
    answer = http.post("/v1/messages", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def types(message: dict[str, Any]) -> list[str]:
    return [block["type"] for block in message["content"]]


def stream(
    http: httpx2.Client, body: dict[str, Any], headers: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    with http.stream("POST", "/v1/messages", json=body | {"stream": True}, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        return sse(answer.iter_lines())


def test_the_official_shape(http: httpx2.Client, model: Model) -> None:
    model.play(
        [thinking("hm"), text("Let me see."), code("print(6 * 7)", "toolu_01Xyz")], [text("It is 42.")]
    )
    message = post(http, ask("What is 6 * 7?"), OFFICIAL)
    assert types(message) == ["thinking", "text", "server_tool_use", "code_execution_tool_result", "text"]
    use, result = message["content"][2:4]
    assert use == {
        "type": "server_tool_use",
        "id": "srvtoolu_01Xyz",
        "name": "code_execution",
        "input": {"code": "print(6 * 7)"},
    }
    assert result == {
        "type": "code_execution_tool_result",
        "tool_use_id": "srvtoolu_01Xyz",
        "content": {
            "type": "code_execution_result",
            "stdout": "42\n",
            "stderr": "",
            "return_code": 0,
            "content": [],
        },
    }
    assert message["stop_reason"] == "end_turn"
    assert message["model"] == "model-1-20260101"
    assert message["container"]["id"].startswith("container_")
    assert message["usage"]["input_tokens"] == 200
    assert message["usage"]["output_tokens"] == 20
    assert message["usage"]["cache_read_input_tokens"] == 2
    assert message["usage"]["server_tool_use"] == {
        "web_search_requests": 0,
        "web_fetch_requests": 0,
        "code_execution_requests": 1,
    }


def test_what_clients_read_is_there_whatever_the_upstream_leaves_out(
    http: httpx2.Client, model: Model
) -> None:
    """They add the tokens up, and ask why an answer has stopped."""
    counted = {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": None}
    model.play(said([text("Hello.")]) | {"usage": counted})
    events = stream(http, ask("Hello."), OFFICIAL)
    started = events[0]["message"]
    assert started["stop_details"] is None
    assert started["usage"] == {
        "input_tokens": 3,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 2,
    }
    (delta,) = (event for event in events if event["type"] == "message_delta")
    assert list(delta["delta"]) == ["stop_reason", "stop_sequence", "stop_details", "container"]
    assert {name: delta["usage"][name] for name in started["usage"]} == started["usage"]
    refusal = {"type": "refusal", "category": None, "explanation": "No."}
    model.play(said([text("No.")], "refusal") | {"stop_details": refusal})
    assert post(http, ask("Hello."), OFFICIAL)["stop_details"] == refusal


def test_what_the_upstream_says_beside_its_last_delta_goes_to_the_client(
    http: httpx2.Client, model: Model, server: Server
) -> None:
    cleared = {"type": "clear_tool_uses_20250919", "cleared_tool_uses": 2, "cleared_input_tokens": 90}
    beside = {"context_management": {"applied_edits": [cleared]}}

    def turn() -> Events:
        return Events(
            event | beside if event["type"] == "message_delta" else event
            for event in events_of(said([text("So.")]))
        )

    model.play(turn(), turn(), turn())
    assert post(http, ask("Go."), OFFICIAL).items() >= beside.items()
    (delta,) = [event for event in stream(http, ask("Go."), OFFICIAL) if event["type"] == "message_delta"]
    assert delta.items() >= beside.items()
    assert "context_management" not in delta["delta"]
    with (
        anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0, timeout=60) as client,
        client.beta.messages.stream(**ask("Go.")) as streamed,
    ):
        message = streamed.get_final_message()
    assert message.context_management is not None
    assert message.context_management.applied_edits[0].cleared_input_tokens == 90


def test_a_conversation_that_the_upstream_has_compacted(http: httpx2.Client, model: Model) -> None:
    """The client gets its summary whole, and so does the upstream in the next turn."""
    compacted = {"type": "compaction", "content": "They asked for one.", "encrypted_content": "opaque"}

    def turn() -> Events:
        events = list(events_of(said([{"type": "compaction", "content": None}, code("print(1)")])))
        delta = {
            "type": "content_block_delta",
            "index": 0,
            "delta": {**compacted, "type": "compaction_delta"},
        }
        return Events([*events[:2], delta, *events[2:]])

    model.play(turn(), [text("So.")])
    assert post(http, ask("Go."), OFFICIAL)["content"][0] == compacted
    assert model.requests[1]["messages"][1]["content"][0] == compacted


def test_white_space_goes_to_the_client_and_not_back(http: httpx2.Client, model: Model) -> None:
    """A Messages server writes texts of nothing but white space, and refuses them in what it is sent."""
    model.play([text("\n\n"), code("print('  ')")], [text("Done.")])
    message = post(http, ask("Go."), OFFICIAL)
    assert message["content"][0] == text("\n\n")
    _, turn, answer = model.requests[1]["messages"]
    assert [block["type"] for block in turn["content"]] == ["tool_use"]
    assert answer["content"][0]["content"] == [text("(no output)")]


def test_what_the_upstream_gets(http: httpx2.Client, model: Model) -> None:
    model.play([thinking("hm"), code("print(6 * 7)", "toolu_01Xyz")], [text("It is 42.")])
    headers = {
        "anthropic-beta": "code-execution-2025-05-22, other-1",
        "x-api-key": "caller",
        "anthropic-version": "x",
    }
    ours = {"diagnostics": {"previous_message_id": "msg_1"}, "betas": ["other-2"]}
    post(http, ask("What is 6 * 7?", temperature=0.5, system="Be brief.", **ours), headers)
    first, second = model.requests
    assert not ours.keys() & first.keys()
    assert first["system"] == "Be brief."
    assert first["temperature"] == 0.5
    assert first["stream"] is True
    assert "container" not in first
    (tool,) = first["tools"]
    assert tool["name"] == "code_execution"
    assert "type" not in tool
    assert tool["input_schema"]["required"] == ["code"]
    assert "Python 3." in tool["description"]
    assert model.headers[0]["anthropic-beta"] == "other-1"
    assert model.headers[0]["x-api-key"] == "upstream-key"
    assert second["messages"][1] == {
        "role": "assistant",
        "content": [thinking("hm"), code("print(6 * 7)", "toolu_01Xyz")],
    }
    assert second["messages"][2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "toolu_01Xyz", "content": [{"type": "text", "text": "42"}]}
        ],
    }


def test_the_inline_shape(http: httpx2.Client, model: Model) -> None:
    model.play([thinking("hm"), code("print('a')\n1/0"), code("2 + 2", "call_7")], [text("So.")])
    answer = http.post("/v1/messages", json=ask("Try."))
    assert answer.headers["belljar-profile"] == "inline"
    assert answer.headers["belljar-isolation"] in {"full", "limited"}
    assert answer.headers["request-id"].startswith("req_")
    message = answer.json()
    assert types(message) == [
        "thinking",
        "server_tool_use",
        "server_tool_use",
        "code_execution_result",
        "code_execution_result",
        "text",
    ]
    thought, _, second, failed, value, _ = message["content"]
    assert thought["text"] == thought["thinking"] == "hm"
    assert second["id"].startswith("srvtoolu_")
    assert failed["is_error"] is True
    assert failed["output"]["text"].startswith("a\nTraceback")
    assert failed["text"] == f"Error: {failed['output']['text']}"
    assert value == {
        "type": "code_execution_result",
        "tool_use_id": second["id"],
        "output": {"type": "text", "text": "4"},
        "is_error": False,
        "text": "Result: 4",
    }


@pytest.mark.parametrize("profile", ["anthropic", "inline"])
def test_a_stream_folds_to_the_answer_without_one(http: httpx2.Client, model: Model, profile: str) -> None:
    turns = ([thinking("hm"), text("See."), code("print(1)"), code("print(2)", "toolu_02")], [text("Done.")])
    headers = {"belljar-profile": profile}
    model.play(*turns)
    whole = post(http, ask("Go."), headers)
    model.play(*turns)
    events = stream(http, ask("Go."), headers)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("message_start") == kinds.count("message_delta") == 1
    assert "ping" in kinds
    assert events[0]["message"]["content"] == []
    assert "container" not in events[0]["message"]
    starts = [event for event in events if event["type"] == "content_block_start"]
    assert [event["index"] for event in starts] == list(range(len(whole["content"])))
    assert [event["content_block"]["type"] for event in starts] == types(whole)
    use = starts[2]["content_block"]
    assert use["input"] == ({} if profile == "anthropic" else {"code": "print(1)"})
    written = [
        event["delta"]["partial_json"] for event in events if event.get("index") == 2 and "delta" in event
    ]
    assert json.loads("".join(written)) == {"code": "print(1)"}
    assert starts[4]["content_block"] == whole["content"][4]
    end = events[-2]
    assert end["delta"]["stop_reason"] == "end_turn"
    assert end["delta"]["container"]["id"].startswith("container_")
    assert end["usage"] == whole["usage"]


def test_charts_and_files(http: httpx2.Client, model: Model) -> None:
    source = (
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\n"
        "open('table.csv', 'w').write('a,b\\n1,2\\n')\nplt.figure().savefig('saved.png')\nprint('ok')"
    )
    model.play([code(source)], [text("Here.")])
    message = post(http, ask("Draw."))
    printed, *images = [block for block in message["content"] if block["type"] == "code_execution_result"]
    assert printed["text"] == "Result: ok"
    (table,) = printed["files"]
    assert (table["filename"], table["mime_type"], table["size_bytes"]) == ("table.csv", "text/csv", 8)
    assert [image["text"] for image in images] == ["[Chart generated]"] * 2
    for image in images:
        assert image["output"]["media_type"] == "image/png"
        assert base64.b64decode(image["output"]["data"]).startswith(b"\x89PNG")
    content = model.requests[1]["messages"][2]["content"][0]["content"]
    assert [block["type"] for block in content] == ["text", "text", "image", "image"]
    assert "table.csv (text/csv, 8 bytes)" in content[1]["text"]

    model.play([code(source)], [text("Here.")])
    message = post(http, ask("Draw."), OFFICIAL)
    outputs = message["content"][1]["content"]["content"]
    names = [http.get(f"/v1/files/{output['file_id']}").json()["filename"] for output in outputs]
    assert names[0] == "figure-1.png"
    assert sorted(names[1:]) == ["saved.png", "table.csv"]
    assert message["content"][1]["content"]["stdout"] == "ok\n"


def test_state_lives_on_in_the_container(http: httpx2.Client, model: Model) -> None:
    model.play([code("x = 41")], [text("Set.")])
    first = post(http, ask("Set x."))
    model.play([code("print(x + 1)")], [text("42.")])
    history = [
        {"role": "user", "content": "Set x."},
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": "And now?"},
    ]
    second = post(http, ask(history, container=first["container"]["id"]))
    assert second["container"]["id"] == first["container"]["id"]
    assert second["container"]["expires_at"] >= first["container"]["expires_at"]
    assert second["content"][1]["text"] == "Result: 42"
    sent = model.requests[0]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user", "assistant", "user"]
    assert sent[1]["content"][0]["type"] == "tool_use"
    assert sent[2]["content"][0]["type"] == "tool_result"


def test_a_client_tool_beside_ours(http: httpx2.Client, model: Model) -> None:
    weather = {"name": "weather", "input_schema": {"type": "object"}}
    theirs = {"type": "tool_use", "id": "toolu_02", "name": "weather", "input": {"city": "Oslo"}}
    model.play([text("Both."), code("print('ran')"), theirs])
    tools = [TOOL, weather]
    first = post(http, ask("Go.", tools=tools), OFFICIAL)
    assert types(first) == ["text", "server_tool_use", "tool_use"]
    assert first["stop_reason"] == "tool_use"
    assert first["container"] is None
    assert first["content"][2] == theirs

    model.play([text("Fine.")])
    answered = {"type": "tool_result", "tool_use_id": "toolu_02", "content": "sunny"}
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [answered]},
    ]
    second = post(http, ask(history, tools=tools), OFFICIAL)
    assert types(second) == ["code_execution_tool_result", "text"]
    assert second["content"][0]["tool_use_id"] == first["content"][1]["id"]
    assert second["content"][0]["content"]["stdout"] == "ran\n"
    sent = model.requests[0]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert [block["tool_use_id"] for block in sent[2]["content"]] == ["toolu_01a", "toolu_02"]

    # And the whole of it as history: the result goes back to where its use stands.
    model.play([text("Good.")])
    history += [{"role": "assistant", "content": second["content"]}, {"role": "user", "content": "Thanks."}]
    post(http, ask(history, tools=tools), OFFICIAL)
    sent = model.requests[0]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user", "assistant", "user"]
    assert [block["tool_use_id"] for block in sent[2]["content"]] == ["toolu_01a", "toolu_02"]
    assert sent[2]["content"][0]["content"] == [{"type": "text", "text": "ran\n"}]
    assert sent[3]["content"] == [text("Fine.")]


def test_only_client_tools(http: httpx2.Client, model: Model) -> None:
    weather = {"name": "weather", "input_schema": {"type": "object"}}
    theirs = {"type": "tool_use", "id": "toolu_02", "name": "weather", "input": {}}
    model.play([theirs])
    message = post(http, ask("Go.", tools=[weather]))
    assert message["stop_reason"] == "tool_use"
    assert message["content"] == [theirs]
    assert model.requests[0]["tools"] == [weather]


def test_a_forced_tool_is_forced_once(http: httpx2.Client, model: Model) -> None:
    model.play([code("print(1)")], [text("One.")])
    choice = {"type": "tool", "name": "code_execution", "disable_parallel_tool_use": True}
    post(http, ask("Go.", tool_choice=choice))
    assert model.requests[0]["tool_choice"] == choice
    assert model.requests[1]["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def test_input_that_cannot_be_run(http: httpx2.Client, model: Model) -> None:
    wrong = {"type": "tool_use", "id": "toolu_01a", "name": "code_execution", "input": {"script": "print(1)"}}
    model.play([wrong], [text("Sorry.")])
    message = post(http, ask("Go."), OFFICIAL)
    assert message["content"][1]["content"] == {
        "type": "code_execution_tool_result_error",
        "error_code": "invalid_tool_input",
    }
    result = model.requests[1]["messages"][2]["content"][0]
    assert result["is_error"] is True
    assert "code" in result["content"][0]["text"]


def test_a_turn_cut_off_by_max_tokens_is_not_run(http: httpx2.Client, model: Model) -> None:
    whole = list(_cut_off())
    model.play(Events(whole))
    message = post(http, ask("Go."), OFFICIAL)
    assert message["stop_reason"] == "max_tokens"
    assert types(message) == ["server_tool_use", "code_execution_tool_result"]
    assert message["content"][0]["input"] == {"code": "pri"}
    assert message["content"][1]["content"]["error_code"] == "invalid_tool_input"
    assert len(model.requests) == 1
    # Resent by a client that goes on, it is not run either.
    model.play(said([text("I see.")]))
    history = [{"role": "assistant", "content": message["content"]}, {"role": "user", "content": "Go on."}]
    again = post(http, ask("Go.", messages=[{"role": "user", "content": "Go."}, *history]), OFFICIAL)
    assert types(again) == ["text"]


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("print(1)", {}),
        ("{'code': 'print(1)'}", {}),
        ('["print(1)"]', {}),
        ("{\"code\": \"open('ran', 'w')\nprint(1)\"}", {"code": "open('ran', 'w')"}),
    ],
)
def test_input_that_is_no_json_breaks_no_client(
    server: Server, model: Model, written: str, seen: dict[str, Any]
) -> None:
    """The official SDK parses what it gets piece by piece."""
    model.play(Events(_broken(written)), [text("Sorry.")])
    with (
        anthropic.Anthropic(base_url=server.url, api_key="mine", max_retries=0) as client,
        client.beta.messages.stream(**ask("Go."), betas=["code-execution-2025-05-22"]) as stream,
    ):
        message = stream.get_final_message()
    use, result, _ = message.to_dict()["content"]  # type: ignore[misc]
    assert use["input"] == seen  # type: ignore[index]
    assert result["content"]["error_code"] == "invalid_tool_input"  # type: ignore[index]
    assert "JSON" in model.requests[1]["messages"][2]["content"][0]["content"][0]["text"]


def test_input_that_is_no_json_is_not_run_later(http: httpx2.Client, model: Model) -> None:
    """The client got a piece of it, which is JSON, and sends that with the results of its own tools."""
    own = {"name": "mine", "description": "Mine.", "input_schema": {"type": "object"}}
    call = {"type": "tool_use", "id": "toolu_own", "name": "mine", "input": {}}
    broken = _broken("{\"code\": \"open('ran', 'w')\nprint(1)\"}")
    stop = {"type": "content_block_stop", "index": 1}
    begin = {"type": "content_block_start", "index": 1, "content_block": call}
    model.play(Events([*broken[:-2], begin, stop, *broken[-2:]]), [text("Sorry.")])
    tools = [*ask("Go.")["tools"], own]
    message = post(http, ask("Go.", tools=tools), OFFICIAL)
    assert types(message) == ["server_tool_use", "tool_use", "code_execution_tool_result"]
    history = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_own", "content": "x"}]},
    ]
    again = post(http, ask(history, tools=tools), OFFICIAL)
    assert types(again) == ["text"]
    assert again["container"] is None


def _broken(written: str) -> list[dict[str, Any]]:
    start, begin, _, *end = _cut_off()
    pieces = [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": written[at : at + 5]},
        }
        for at in range(0, len(written), 5)
    ]
    end[1] = end[1] | {"delta": {"stop_reason": "tool_use"}}
    return [start, begin, *pieces, *end]


def _cut_off() -> list[dict[str, Any]]:
    start = said([])
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {**code(""), "input": {}}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": '{"code": "pri'},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]


def test_attachments(http: httpx2.Client, model: Model) -> None:
    data = base64.b64encode(b"name,age\nAda,36\n").decode()
    document = {
        "type": "document",
        "source": {"type": "base64", "media_type": "text/csv", "data": data},
        "title": "people.csv",
    }
    model.play([code("print(open('people.csv').read())")], [text("Ada.")])
    prompt = [{"role": "user", "content": [{"type": "text", "text": "Who?"}, document]}]
    first = post(http, ask(prompt), OFFICIAL)
    assert first["content"][1]["content"]["stdout"] == "name,age\nAda,36\n\n"
    assert first["content"][1]["content"]["content"] == []  # what was attached is not a result
    told = model.requests[0]["messages"][0]["content"]
    assert [block["type"] for block in told] == ["text", "text"]
    assert all(
        words in told[1]["text"] for words in ("people.csv", "16 bytes", "text/csv", "name,age\nAda,36")
    )

    # Code changed it; the same history again does not bring the old one back.
    model.play([code("open('people.csv', 'a').write('Bo,9\\n')")], [text("Added.")])
    again = [
        *prompt,
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": "Add Bo."},
    ]
    second = post(http, ask(again, container=first["container"]["id"]), OFFICIAL)
    assert len(second["content"][1]["content"]["content"]) == 1
    other = {**document, "source": {**document["source"], "data": base64.b64encode(b"x\n").decode()}}
    model.play(
        [code("print(len(open('people.csv').readlines()), open('people (2).csv').read())")], [text("3.")]
    )
    again += [{"role": "assistant", "content": second["content"]}, {"role": "user", "content": [other]}]
    third = post(http, ask(again, container=first["container"]["id"]), OFFICIAL)
    assert third["content"][1]["content"]["stdout"] == "3 x\n\n"


def test_a_hang_up_interrupts_the_code(http: httpx2.Client, model: Model) -> None:
    container = http.post("/v1/containers").json()["id"]
    model.play([code("import time\nprint('started', flush=True)\ntime.sleep(600)")], [text("Never.")])
    seen = []
    with http.stream("POST", "/v1/messages", json=ask("Sleep.", container=container, stream=True)) as answer:
        for line in answer.iter_lines():
            seen.append(line)
            if http.get(f"/v1/containers/{container}").json()["state"] == "running":
                break
    # Long before the code's own end the session is free again.
    done = http.post("/v1/executions", json={"code": "print('free')", "container": container}).json()
    assert done.get("stdout") == "free\n", done


def test_a_container_that_nobody_heard_of_is_not_kept(http: httpx2.Client, model: Model) -> None:
    before = http.get("/health").json()["sessions"]["live"]
    refusal = json.dumps(
        {"type": "error", "error": {"type": "overloaded_error", "message": "too much"}}
    ).encode()
    model.play([code("print(1)")], Refusal(529, refusal))
    answer = http.post("/v1/messages", json=ask("Go."))
    assert answer.status_code == 529
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"] == {"type": "overloaded_error", "message": "too much"}
    assert http.get("/health").json()["sessions"]["live"] == before


def test_requests_for_one_container_wait_in_turn(http: httpx2.Client, model: Model) -> None:
    container = http.post("/v1/containers").json()["id"]
    http.post("/v1/executions", json={"code": "n = 0", "container": container})
    step = {"code": "m = n\nimport time; time.sleep(0.01)\nn = m + 1", "container": container}
    answers: list[int] = []

    def run() -> None:
        answers.append(http.post("/v1/executions", json=step).status_code)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8
    assert (
        http.post("/v1/executions", json={"code": "print(n)", "container": container}).json()["stdout"]
        == "8\n"
    )


def test_two_conversations_at_once(http: httpx2.Client, model: Model) -> None:
    """A request that waits for its model holds nobody up."""
    release = threading.Event()
    model.play(Wait(release, [text("late")]), [text("early")])
    late: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: late.append(post(http, ask("First."))))
    thread.start()
    while not model.requests:
        threading.Event().wait(0.01)
    assert post(http, ask("Second."))["content"] == [text("early")]
    release.set()
    thread.join()
    assert late[0]["content"] == [text("late")]
