"""A program's output within its budget: head and tail, and how much is missing in between."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.keeper.capture import Capture

_MARKER = re.compile(r"\n\[\.\.\. ([\d,]+) bytes of output left out \.\.\.\]\n")


def captured(pieces: Sequence[bytes], limit_bytes: int) -> tuple[str, bool]:
    capture = Capture(limit_bytes)
    text = "".join([*map(capture.feed, pieces), capture.finish()])
    return text, capture.is_truncated


def cut(data: bytes, at: Sequence[int]) -> list[bytes]:
    edges = sorted(min(position, len(data)) for position in at)
    return [data[start:end] for start, end in zip([0, *edges], [*edges, len(data)], strict=True)]


@given(st.text(max_size=200), st.lists(st.integers(0, 800), max_size=8), st.integers(0, 100))
def test_what_is_within_the_limit_is_kept_to_the_letter(text: str, at: list[int], room: int) -> None:
    data = text.encode()
    assert captured(cut(data, at), len(data) + room) == (text, False)


@given(st.binary(max_size=600), st.lists(st.integers(0, 600), max_size=8), st.integers(2, 100))
def test_what_is_kept_is_bounded_whatever_was_written(data: bytes, at: list[int], limit: int) -> None:
    text, is_truncated = captured(cut(data, at), limit)
    assert is_truncated == (len(data) > limit)
    # A byte that is no UTF-8 becomes a replacement character, which has three.
    assert len(_MARKER.sub("", text).encode()) <= 3 * limit


@given(st.text(min_size=30, max_size=300), st.lists(st.integers(0, 900), max_size=8), st.integers(8, 40))
def test_head_and_tail_are_of_the_text_and_the_marker_counts_the_rest(
    text: str, at: list[int], limit: int
) -> None:
    text = text.replace("\n", "")
    data = text.encode()
    shown, is_truncated = captured(cut(data, at), limit)
    if not is_truncated:
        assert shown == text
        return
    match = _MARKER.search(shown)
    assert match is not None
    head, tail = shown[: match.start()], shown[match.end() :]
    # A character that a cut falls into is left out: nothing may be made up.
    assert text.startswith(head)
    assert text.endswith(tail)
    assert int(match[1].replace(",", "")) == len(data) - len(head.encode()) - len(tail.encode())


@pytest.mark.parametrize("limit", [2, 3, 10, 1024])
def test_the_limit_itself_is_kept_and_one_more_byte_is_not(limit: int) -> None:
    assert captured([b"x" * limit], limit) == ("x" * limit, False)
    text, is_truncated = captured([b"x" * limit, b"y"], limit)
    assert is_truncated
    assert (
        text == f"{'x' * (limit // 2)}\n[... 1 bytes of output left out ...]\n{'x' * (-(-limit // 2) - 1)}y"
    )


def test_the_head_is_shown_at_once_and_the_tail_at_the_end() -> None:
    capture = Capture(8)
    assert capture.feed(b"abc") == "abc"
    assert capture.feed(b"defgh") == "d"
    assert capture.feed(b"ijkl") == ""
    assert capture.finish() == "\n[... 4 bytes of output left out ...]\nijkl"


def test_a_character_in_two_pieces_is_one_character() -> None:
    capture = Capture(100)
    assert [capture.feed(bytes([byte])) for byte in "€".encode()] == ["", "", "€"]
    assert capture.finish() == ""


def test_an_unfinished_character_at_the_end_shows_as_a_replacement() -> None:
    assert captured([b"a\xe2\x82"], 100) == ("a\N{REPLACEMENT CHARACTER}", False)


@pytest.mark.parametrize("limit", range(2, 16))
def test_a_head_that_ends_inside_a_character_ends_before_it(limit: int) -> None:
    text, _ = captured(["€".encode()] * 20, limit)
    head, left_out, tail = _MARKER.split(text)
    assert set(head) <= {"€"}
    assert len(head.encode()) + int(left_out) + len(tail.encode()) == 60


@pytest.mark.parametrize("limit", range(2, 16))
def test_a_tail_that_begins_inside_a_character_begins_after_it(limit: int) -> None:
    text, _ = captured(["€".encode() * 20], limit)
    tail = text.rpartition("]\n")[2]
    assert set(tail) <= {"€"}


def test_memory_is_bounded_by_the_limit() -> None:
    capture = Capture(1000)
    tracemalloc.start()
    try:
        for _ in range(1000):
            capture.feed(b"x" * 1000)
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()
    assert capture.total_bytes == 1_000_000
    assert "[... 999,000 bytes of output left out ...]" in capture.finish()
