"""Chunks as servers really send them, and requests as they have to be."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from chatting import call, chunk, chunks_of
from serving import said, text
from steps import is_linear

from belljar.errors import InvalidRequest, UpstreamError
from belljar.gateway.turn import MessageFold
from belljar.gateway.upstream.chat import body, messages
from belljar.gateway.upstream.chunks import SIGNATURE, Translation


def folded(*chunks: dict[str, Any], **more: Any) -> MessageFold:
    translation, fold = Translation("asked-for", **more), MessageFold()
    for one in chunks:
        for event in translation.add(one):
            fold.add(event)
    for event in translation.end():
        fold.add(event)
    assert fold.stopped
    return fold


def uses(fold: MessageFold) -> list[tuple[str, Any]]:
    return [(block["name"], block["input"]) for block in fold.blocks if block["type"] == "tool_use"]


TWO = [("a", {"x": 1}), ("b", {"y": 2})]


@pytest.mark.parametrize(
    "pieces",
    [
        # As it should be, interleaved; the second call's arguments come before the first one's end.
        [
            [call(0, "", "1", "a")],
            [call(1, '{"y"', "2", "b"), call(0, '{"x"')],
            [call(1, ": 2}")],
            [call(0, ": 1}")],
        ],
        # Ollama: index 0 on every call.
        [[call(0, '{"x": 1}', "1", "a")], [call(0, '{"y": 2}', "2", "b")]],
        [[call(0, '{"x": 1}', None, "a")], [call(0, '{"y": 2}', None, "b")]],
        # No index; no id; the same id twice.
        [[call(None, '{"x": 1}', "1", "a"), call(None, '{"y": 2}', "2", "b")]],
        [[call(None, '{"x"', None, "a")], [call(None, ": 1}")], [call(None, '{"y": 2}', None, "b")]],
        [[call(None, '{"x"', "1", "a")], [call(None, ": 1}", "1")], [call(None, '{"y": 2}', "2", "b")]],
        [[call(0, '{"x": 1}', "1", "a")], [call(1, '{"y": 2}', "1", "b")]],
        # vLLM, of old: another id and the name again on every piece. And the name behind the arguments.
        [[call(0, '{"x"', "1", "a")], [call(0, ": 1}", "1b", "a")], [call(1, '{"y": 2}', "2", "b")]],
        [[call(0, '{"x"', "1")], [call(0, ": 1}", None, "a")], [call(1, '{"y": 2}', "2", "b")]],
    ],
)
def test_calls_in_pieces(pieces: list[list[dict[str, Any]]]) -> None:
    fold = folded(*(chunk({"tool_calls": piece}) for piece in pieces), chunk({}, "tool_calls"))
    assert uses(fold) == TWO
    assert len({block["id"] for block in fold.blocks}) == 2
    assert fold.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("reason", "has_call", "expected"),
    [
        ("stop", False, "end_turn"),
        ("stop", True, "tool_use"),
        ("length", True, "max_tokens"),
        ("tool_calls", False, "end_turn"),
        ("function_call", True, "tool_use"),
        ("content_filter", False, "refusal"),
        ("a_new_one", False, "end_turn"),
        (None, True, "tool_use"),
    ],
)
def test_why_it_ends(reason: str | None, has_call: bool, expected: str) -> None:
    calls = {"tool_calls": [call(0, "{}", "1", "a")]} if has_call else {}
    assert folded(chunk({"content": "So.", **calls}, reason)).stop_reason == expected


def test_odd_answers() -> None:
    legacy = folded(
        chunk({"function_call": {"name": "a", "arguments": '{"x"'}}),
        chunk({"function_call": {"arguments": ": 1}"}}),
    )
    assert uses(legacy) == TWO[:1]
    as_object = {"id": "1", "function": {"name": "a", "arguments": {"x": 1}}}
    whole = {"choices": [{"message": {"content": None, "tool_calls": [as_object, as_object | {"id": "2"}]}}]}
    assert uses(folded(whole)) == [TWO[0], TWO[0]]
    stopped = chunk({"content": "a"}, "stop")
    stopped["choices"][0]["stop_reason"] = "END"
    fold = folded(stopped, stop_sequences=("END",))
    assert (fold.stop_reason, fold.message["stop_sequence"]) == ("stop_sequence", "END")
    mistral = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "So."},
    ]
    assert [block["type"] for block in folded(chunk({"content": mistral})).blocks] == ["thinking", "text"]
    unnamed = folded({"choices": [], "usage": None})
    assert unnamed.message["model"] == "asked-for"
    assert unnamed.message["usage"] == {"input_tokens": 0, "output_tokens": 0}
    both = folded(chunk({"reasoning": "hm", "reasoning_content": "hm"}), chunk({"content": "So."}))
    assert [block.get("thinking") for block in both.blocks] == ["hm", None]
    other = chunk({"content": "no"})
    other["choices"][0]["index"] = 1
    assert folded(other, chunk({"content": "yes"})).blocks == [text("yes")]


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        ({"error": {"message": "slowly", "code": 429}}, 429),
        ({"error": "slowly"}, 502),
        ({"choices": ["slowly"]}, 502),
        ({"choices": [{"delta": {"tool_calls": ["slowly"]}}]}, 502),
    ],
)
def test_chunks_that_are_errors(bad: dict[str, Any], status: int) -> None:
    with pytest.raises(UpstreamError, match=r"slowly|makes no sense") as caught:
        folded(bad)
    assert caught.value.status == status


def test_text_is_streamed_as_it_comes() -> None:
    translation = Translation("m")
    told = [list(translation.add(one)) for one in chunks_of(said([text("as it comes")]))]
    deltas = [event["delta"]["text"] for events in told for event in events if "delta" in event]
    assert deltas == ["as it c", "omes"]
    assert [len(events) for events in told[:3]] == [1, 2, 1]


def asking(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": list(content)}], **more}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "a"}, {"type": "function", "function": {"name": "a"}}),
    ],
)
def test_tool_choices(choice: dict[str, Any], sent: object) -> None:
    tools = [{"name": "a", "input_schema": {"type": "object"}}]
    made = body(asking(tools=tools, tool_choice=choice | {"disable_parallel_tool_use": True}))
    assert (made["tool_choice"], made["parallel_tool_calls"]) == (sent, False)
    assert "tool_choice" not in body(asking(tool_choice=choice)), "without tools servers refuse it"


def test_fields() -> None:
    made = body(
        asking(
            text("Hi."),
            temperature=0.1,
            seed=7,
            stop_sequences=["END"],
            metadata={"user_id": "u"},
            max_tokens=0,
        ),
        "max_completion_tokens",
        counts=False,
    )
    assert made == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi."}],
        "temperature": 0.1,
        "seed": 7,
        "stop": ["END"],
        "max_completion_tokens": 1,
        "stream": True,
    }
    with pytest.raises(InvalidRequest, match=r"tools\.0\.type: 'bash_20250124'"):
        body(asking(tools=[{"type": "bash_20250124", "name": "bash"}]))


def test_documents_as_text() -> None:
    encoded = base64.b64encode("ä,b".encode()).decode()
    content = [
        {
            "type": "document",
            "title": "t.csv",
            "source": {"type": "base64", "media_type": "text/csv", "data": encoded},
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
        {"type": "document", "source": {"type": "content", "content": [text("inside")]}},
        {
            "type": "document",
            "title": "x.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"},
        },
        {"type": "search_result", "title": "T", "source": "S", "content": [text("found")]},
    ]
    (message,) = body(asking(*content))["messages"]
    for words in ("t.csv]\nä,b", "plain", "inside", "application/pdf was attached", "found"):
        assert words in message["content"]
    url = {"type": "image", "source": {"type": "url", "url": "https://h/x.png"}}
    (message,) = body(asking(url))["messages"]
    assert message["content"] == [{"type": "image_url", "image_url": {"url": "https://h/x.png"}}]


def test_ids_and_reasoning_on_the_way_back() -> None:
    def thought(signature: str) -> dict[str, Any]:
        return {"type": "thinking", "thinking": "hm", "signature": signature}

    def turn(signature: str) -> list[dict[str, Any]]:
        use = {"type": "tool_use", "id": "toolu_same", "name": "a", "input": {}}
        result = {"type": "tool_result", "tool_use_id": "toolu_same", "content": "1"}
        return [
            {"role": "assistant", "content": [thought(signature), use]},
            {"role": "user", "content": [result]},
        ]

    ours = f"{SIGNATURE}reasoning"
    history = [{"role": "user", "content": "1"}, *turn(ours), {"role": "user", "content": "2"}]
    history += [*turn(ours), *turn("signed elsewhere")]
    sent = body({"model": "m", "max_tokens": 9, "messages": history})["messages"]
    said_before = [message for message in sent if message["role"] == "assistant"]
    assert [message.get("reasoning") for message in said_before] == [None, "hm", None]
    ids = [message["tool_calls"][0]["id"] for message in said_before]
    assert ids == ["call00001", "call00002", "call00003"]
    assert [message["tool_call_id"] for message in sent if message["role"] == "tool"] == ids


def test_many_calls_in_a_request() -> None:
    def asked(count: int) -> list[dict[str, Any]]:
        uses = [
            {"type": "tool_use", "id": f"toolu_{number}", "name": "f", "input": {}} for number in range(count)
        ]
        return messages({"messages": [{"role": "assistant", "content": uses}]})

    assert [call["id"] for call in asked(3)[0]["tool_calls"]] == ["call00001", "call00002", "call00003"]
    assert is_linear(asked)
