"""What a run's events come to: in order, each display once, and the last of what stands in one place."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from belljar import results
from belljar.frames import Message
from belljar.records import MIB

FACTS: dict[str, Any] = {
    "outcome": {"status": "completed", "reason": "completed", "message": "It ran.", "limit": None},
    "return_code": 0,
    "raised": None,
    "truncated": {},
    "files": [],
    "files_left_out": 0,
    "are_files_whole": True,
    "deleted": [],
    "deleted_left_out": 0,
    "displays_left_out": 0,
    "usage": {"wall_seconds": 0.0, "cpu_seconds": 0.0, "peak_memory_bytes": 0},
    "laps": {},
    "calls": [],
}


def stream(text: str, name: str = "stdout") -> Message:
    return Message("stream", {"name": name}, text.encode())


def shown(text: str, kind: str = "display_data", **more: Any) -> Message:
    return Message("display", {"type": kind, "parts": [["text/plain", len(text)]], **more}, text.encode())


def clear(wait: bool) -> Message:
    return Message("display", {"type": "clear_output", "parts": [], "metadata": {"wait": wait}})


def folded(*messages: Message) -> tuple[results.Result, list[results.Event]]:
    told: list[results.Event] = []
    outputs = results.Outputs(told.append)
    for message in messages:
        outputs.take(message)
    return outputs.result(deepcopy(FACTS), is_closed=False), told


def texts(result: results.Result) -> list[str]:
    return [
        o.text if isinstance(o, results.Stream) else o.data["text/plain"].decode()
        for o in result.outputs
        if not isinstance(o, results.Raised)
    ]


def test_pieces_of_a_stream_are_one_output() -> None:
    result, told = folded(stream("a"), stream("b"), stream("c", "stderr"), shown("d"), stream("e"))
    assert texts(result) == ["ab", "c", "d", "e"]
    assert len(told) == 5


def test_a_display_is_replaced_where_it_stands() -> None:
    first = shown("one", display_id="a")
    result, told = folded(first, stream("x"), shown("two", "update_display_data", display_id="a"))
    assert texts(result) == ["two", "x"]
    assert [o.type for o in result.outputs if isinstance(o, results.Display)] == ["display_data"]
    assert isinstance(told[-1], results.Display)
    assert told[-1].type == "update_display_data"


def test_what_an_earlier_run_has_shown_is_shown_anew() -> None:
    result, told = folded(shown("two", "update_display_data", display_id="a"))
    assert texts(result) == ["two"]
    assert isinstance(told[0], results.Display)
    assert told[0].type == "display_data"


def test_what_was_shown_is_taken_back() -> None:
    result, told = folded(stream("a\n"), shown("b"), clear(wait=False), stream("c\n"))
    assert texts(result) == ["c\n"]
    assert result.stdout == "a\nc\n"  # as of a process
    assert told[2] == results.Clear(wait=False)


@pytest.mark.parametrize("last", [stream("c"), shown("c")])
def test_or_when_something_else_is_shown(last: Message) -> None:
    assert texts(folded(stream("a"), clear(wait=True), last)[0]) == ["c"]
    assert texts(folded(stream("a"), clear(wait=True))[0]) == ["a"]
    assert texts(folded(stream("a"), clear(wait=True), clear(wait=False))[0]) == []


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"text/plain": "42"}, "42"),
        ({"text/plain": "  a\n0 1", "text/html": "<table>"}, "  a\n0 1"),
        ({"text/plain": "x**2", "text/latex": "$x^{2}$"}, "x**2"),
        ({"text/plain": "<IPython.core.display.Markdown object>", "text/markdown": "# a"}, "# a"),
        ({"text/plain": "<Math object>", "text/latex": "$y$"}, "$y$"),
        ({"text/plain": "<JSON object>", "application/json": '{"a": 1}'}, '{"a": 1}'),
        ({"text/plain": "<HTML object>", "text/html": "<b>"}, "<HTML object>"),
        ({"text/html": "<b>"}, ""),
        ({"text/plain": "<Figure>", "image/png": "x"}, ""),
        ({"text/plain": "<SVG object>", "image/svg+xml": "x"}, "<SVG object>"),
    ],
)
def test_what_there_is_to_read(data: dict[str, str], text: str) -> None:
    assert results.text_of(results.Display("display_data", {k: v.encode() for k, v in data.items()})) == text


def test_what_a_call_prints_is_told_and_no_output_of_code() -> None:
    told: list[results.Event] = []
    outputs = results.Outputs(told.append, calls=1)
    outputs.take(Message("stream", {"name": "stdout", "call": 0}, b"line\n"))
    call = {"return_code": 3, "truncated": {}}
    result = outputs.result({**FACTS, "calls": [call]}, is_closed=False)
    assert told == [results.Stream("stdout", "line\n", 0)]
    assert (result.outputs, result.stdout) == ([], "")
    assert (result.calls[0].stdout, result.calls[0].return_code) == ("line\n", 3)


def test_a_traceback_is_told_in_brief_with_what_helps() -> None:
    raised = results.Raised(
        "KeyError", "'a'", ["long", "KeyError: 'a'"], brief=["short"], hint="Perhaps 'b'."
    )
    assert (
        results.with_help("before\nlong\nKeyError: 'a'\n", [raised]) == "before\nshort\nHint: Perhaps 'b'.\n"
    )
    assert results.with_help("printed", []) == "printed"


def picture(size: int, kind: str = "display_data", mime: str = "image/png", **more: Any) -> Message:
    return Message("display", {"type": kind, "parts": [[mime, size]], **more}, bytes(size))


@pytest.mark.parametrize(("mime", "fits"), [("image/png", 8 * MIB), ("text/html", 2 * MIB)])
def test_what_stands_in_several_places_counts_in_each(mime: str, fits: int) -> None:
    places = [picture(1, mime=mime, display_id="a") for _ in range(4)]
    update = "update_display_data"
    result, told = folded(*places, picture(fits, update, mime, display_id="a"))
    assert [len(o.data[mime]) for o in result.outputs if isinstance(o, results.Display)] == [fits] * 4
    assert (result.displays_left_out, len(told)) == (0, 5)
    result, told = folded(
        *places,
        picture(fits + 1, update, mime, display_id="a"),
        picture(2, update, mime, display_id="a"),
    )
    assert [len(o.data[mime]) for o in result.outputs if isinstance(o, results.Display)] == [2] * 4
    assert (result.displays_left_out, len(told)) == (1, 5)
    assert "Left out" in result.stderr
    # What is taken back or replaced makes room again.
    whole = picture(fits, update, mime, display_id="a")
    result, _ = folded(*places, whole, clear(wait=False), *places, whole, whole)
    assert result.displays_left_out == 0
    result, _ = folded(*places, whole, picture(1, mime=mime))
    assert (len(result.outputs), result.displays_left_out) == (4, 1)


def test_what_an_earlier_run_has_shown_takes_a_place() -> None:
    result, _ = folded(*(shown("x", "update_display_data", display_id=str(n)) for n in range(300)))
    assert (len(result.outputs), result.displays_left_out) == (256, 44)


def test_a_display_without_a_name_is_replaced_by_none() -> None:
    result, _ = folded(shown("a"), shown("b", "update_display_data"))
    assert texts(result) == ["a", "b"]
