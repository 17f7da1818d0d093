"""Any bytes on stdout, in any pieces: text within the limit, and a cut that is marked."""

from __future__ import annotations

import re

import hostile
from hypothesis import given
from hypothesis import strategies as st

from belljar.keeper.capture import Capture

_MARKER = re.compile(r"\n\[\.\.\. ([\d,]+) bytes of output left out \.\.\.\]\n")
_output = st.lists(
    st.binary(max_size=200)
    | st.text(max_size=100).map(str.encode)
    | st.sampled_from(
        [b"\0" * 100, "€".encode() * 50, b"\xe2\x82", b"\xf0\x9f\x98", b"\x80" * 20, b"\xff" * 99]
    ),
    max_size=6,
).map(b"".join)


def captured(pieces: list[bytes], limit: int) -> tuple[str, bool]:
    capture = Capture(limit)
    text = "".join([*map(capture.feed, pieces), capture.finish()])
    assert capture.total_bytes == sum(map(len, pieces))
    return text, capture.is_truncated


@given(_output, st.integers(2, 300), st.data())
def test_the_same_is_kept_however_it_was_written(data: bytes, limit: int, draw: st.DataObject) -> None:
    assert captured(draw.draw(hostile.pieces(data)), limit) == captured([data], limit)


@given(_output, st.integers(2, 300))
def test_what_is_kept_is_text_within_the_limit_and_the_cut_is_marked(data: bytes, limit: int) -> None:
    text, is_truncated = captured([data], limit)
    text.encode("utf-8")
    assert is_truncated == (len(data) > limit)
    if not is_truncated:
        assert text == data.decode("utf-8", "replace")
        return
    # The program may have written what looks like our marker: one of them is ours.
    marks = [mark for mark in _MARKER.finditer(text) if _fits(text, mark, data, limit)]
    assert marks


def _fits(text: str, mark: re.Match[str], data: bytes, limit: int) -> bool:
    """Whether what stands around the marker is the beginning and the end of what was written."""
    head, tail = text[: mark.start()], text[mark.end() :]
    left_out = int(mark[1].replace(",", ""))
    kept_head = data[: limit // 2]
    kept_tail = data[-(limit - limit // 2) :]
    halves = [
        size for size in range(4) if kept_head[: len(kept_head) - size].decode("utf-8", "replace") == head
    ]
    starts = [size for size in range(4) if kept_tail[size:].decode("utf-8", "replace") == tail]
    return any(left_out == len(data) - limit + half + start for half in halves for start in starts)


@given(st.lists(_output, max_size=8), st.integers(2, 100))
def test_what_is_held_is_bounded_at_every_moment(pieces: list[bytes], limit: int) -> None:
    capture = Capture(limit)
    shown = 0
    for piece in pieces:
        shown += len(capture.feed(piece))
        # Twice, so that it is not moved for every piece; and the piece itself.
        assert len(capture._tail) <= 2 * (limit - limit // 2) + len(piece)
        # A character for each byte at the most, where none of them is text.
        assert shown <= limit // 2
