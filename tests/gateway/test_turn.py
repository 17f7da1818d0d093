"""Folding and rewriting events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jiter import from_json
from serving import code, said, text, thinking

from belljar.gateway.tools import CODE
from belljar.gateway.turn import MessageFold, Rewriter, added_usage, client_id, events_of, upstream_id
from belljar.gateway.unfinished import UnfinishedObject


def folded(events: list[dict[str, Any]]) -> MessageFold:
    fold = MessageFold()
    for event in events:
        fold.add(event)
    return fold


def rewritten(turn: Rewriter, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [out for event in events for out in turn.rewrite(event)]


block = st.one_of(
    st.builds(text, st.text(min_size=1)),
    st.builds(thinking, st.text(min_size=1)),
    st.builds(code, st.text(), st.from_regex(r"toolu_[A-Za-z0-9]{1,8}", fullmatch=True)),
)


@given(st.lists(block, max_size=6), st.integers(1, 50))
def test_taking_apart_and_folding_are_inverse(content: list[dict[str, Any]], chunk: int) -> None:
    message = said(content)
    fold = folded(list(events_of(message, chunk)))
    assert fold.result() == message
    assert fold.stopped


@given(st.lists(block, max_size=6), st.integers(0, 5), st.booleans())
def test_the_client_sees_the_same_content(content: list[dict[str, Any]], first: int, is_inline: bool) -> None:
    held = frozenset({"server_tool_use", "thinking"}) if is_inline else frozenset()
    turn = Rewriter(first, our_tools=frozenset({CODE}), held=held)
    seen = folded(rewritten(turn, list(events_of(said(content), 3))))
    assert sorted(seen.content) == list(range(first, first + len(content)))
    assert turn.next_index == first + len(content)
    for ours, theirs in zip(seen.blocks, content, strict=True):
        if theirs["type"] == "tool_use":
            assert ours["type"] == "server_tool_use"
            assert upstream_id(ours["id"]) == theirs["id"]
            assert ours["input"] == theirs["input"]
        elif is_inline and theirs["type"] == "thinking":
            assert ours == {**theirs, "text": theirs["thinking"]}
        else:
            assert ours == theirs


@given(st.from_regex(r"toolu_[A-Za-z0-9_]{1,30}", fullmatch=True))
def test_ids_go_and_come_back(use_id: str) -> None:
    assert client_id(use_id).startswith("srvtoolu_")
    assert upstream_id(client_id(use_id)) == use_id


@pytest.mark.parametrize("use_id", ["call_0", "chatcmpl-tool-1", "", "toolu_", "toolu_a-b", "toolu_ä"])
def test_foreign_ids_get_one_of_ours(use_id: str) -> None:
    assert client_id(use_id).startswith("srvtoolu_")
    assert client_id(use_id) != client_id(use_id)


def test_without_the_tool_a_use_of_that_name_is_the_clients() -> None:
    content = [code("1")]
    seen = folded(rewritten(Rewriter(0, our_tools=frozenset()), list(events_of(said(content)))))
    assert seen.blocks == content


def test_an_input_that_is_complete_in_the_start() -> None:
    use = code("print(1)")
    events = [
        {"type": "content_block_start", "index": 0, "content_block": use},
        {"type": "content_block_stop", "index": 0},
    ]
    turn = Rewriter(0, our_tools=frozenset({CODE}))
    out = rewritten(turn, events)
    assert out[0]["content_block"]["input"] == {}
    assert json.loads(out[1]["delta"]["partial_json"]) == use["input"]
    assert turn.our_uses()[0].input == use["input"]


def test_an_input_that_is_no_json() -> None:
    delta = {"type": "input_json_delta", "partial_json": '{"code": '}
    events = [
        {"type": "content_block_start", "index": 0, "content_block": {**code(""), "input": {}}},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
    ]
    turn = Rewriter(0, our_tools=frozenset({CODE}))
    rewritten(turn, events)
    assert turn.our_uses()[0].input == '{"code": '
    assert turn.message.blocks[0]["input"] == {}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_an_input_with_a_number_that_json_has_no_form_for(number: str) -> None:
    written = f'{{"x": [{number}]}}'
    start = {"type": "tool_use", "id": "toolu_a", "name": "a", "input": {}}
    fold = MessageFold()
    fold.add({"type": "content_block_start", "index": 0, "content_block": start})
    fold.add(
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": written},
        }
    )
    fold.add({"type": "content_block_stop", "index": 0})
    assert (fold.broken, fold.blocks) == ({0: written}, [start])


def test_usage_is_added_up() -> None:
    one = {"input_tokens": 1, "cache": {"a": 1}, "tier": "x", "none": None}
    two = {"input_tokens": 2, "cache": {"a": 2, "b": 3}, "tier": "y"}
    assert added_usage(one, two) == {"input_tokens": 3, "cache": {"a": 3, "b": 3}, "tier": "y", "none": None}
    assert added_usage({}, one) == one


def test_a_count_that_is_null_erases_none() -> None:
    start, end = (
        {"input_tokens": 7, "output_tokens": 1, "service_tier": None},
        {"input_tokens": None, "output_tokens": 3},
    )
    fold = folded(
        [
            {"type": "message_start", "message": {"usage": start}},
            {"type": "message_delta", "delta": {}, "usage": end},
        ]
    )
    assert fold.message["usage"] == {"input_tokens": 7, "output_tokens": 3, "service_tier": None}


def test_what_is_no_count_is_made_one() -> None:
    wild = {"input_tokens": -5, "output_tokens": 10**30, "server_tool_use": {"web_search_requests": -1}}
    fold = folded(
        [
            {"type": "message_start", "message": {"usage": wild}},
            {"type": "message_delta", "delta": {}, "usage": {"input_tokens": -1}},
        ]
    )
    assert fold.message["usage"] == {
        "input_tokens": 0,
        "output_tokens": 10**12,
        "server_tool_use": {"web_search_requests": 0},
    }


def pieces(written: str, size: int) -> list[str]:
    return [written[at : at + size] for at in range(0, len(written), size)]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
objects = st.dictionaries(st.text(), anything, max_size=4)


@given(objects, st.booleans(), st.sampled_from([None, 1]), st.integers(1, 9))
def test_an_object_is_passed_on_whole(
    value: dict[str, Any], is_ascii: bool, indent: int | None, size: int
) -> None:
    written = json.dumps(value, ensure_ascii=is_ascii, indent=indent) + "\n"
    one = UnfinishedObject()
    assert "".join(map(one.add, pieces(written, size))) == written
    assert (one.is_broken, one.rest()) == (False, "")


@given(objects, st.integers(0, 200), st.text('{}[]":,\\u0d8\n tx', max_size=9), st.integers(1, 9))
def test_what_was_passed_on_of_anything_becomes_an_object(
    value: dict[str, Any], length: int, more: str, size: int
) -> None:
    """As the official SDK sees it, which parses each time all that has come."""
    one, seen = UnfinishedObject(), ""
    for piece in pieces(json.dumps(value)[:length] + more, size):
        seen += one.add(piece)
        if seen:
            from_json(seen.encode(), partial_mode=True)
    whole = (seen if one.has_begun else "") + one.rest()
    assert isinstance(json.loads(whole), dict)
    assert isinstance(from_json(whole.encode()), dict)


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("print(1)", {}),
        ("{'code': 'print(1)'}", {}),
        ('["print(1)"]', {}),
        ('"print(1)"', {}),
        ('{"code": "a = 1\nprint(a)"}', {"code": "a = 1"}),
        ('{"code": "print(1)"} and more', {"code": "print(1)"}),
        ('{"code": ["a", {"b": 1, "c', {"code": ["a", {"b": 1}]}),
        ('{"code": "\\ud83d!"}', {"code": ""}),
        ('{"code": "print(1)", "at": 01}', {"code": "print(1)"}),
        ('{"code": ' + "[" * 1000, {"code": None}),
        ("", {}),
    ],
)
def test_the_client_gets_json_whatever_the_model_writes(written: str, seen: dict[str, Any]) -> None:
    start = {"type": "content_block_start", "index": 0, "content_block": {**code(""), "input": {}}}
    deltas = [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": piece},
        }
        for piece in ["", *pieces(written, 3)]
    ]
    turn = Rewriter(0, our_tools=frozenset({CODE}))
    fold = folded(rewritten(turn, [start, *deltas, {"type": "content_block_stop", "index": 0}]))
    assert fold.broken == {}
    if "code" in seen and seen["code"] is None:  # so deep that it is cut somewhere
        assert str(fold.blocks[0]["input"]).startswith("{'code': [[")
    else:
        assert fold.blocks[0]["input"] == seen
