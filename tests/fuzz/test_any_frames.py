"""Any bytes, in any pieces: messages or a ProtocolError, and never much memory."""

from __future__ import annotations

import tracemalloc

import hostile
from amounts import a_fraction
from hypothesis import given
from hypothesis import strategies as st

from belljar.frames import MAX_PAYLOAD, Decoder, Message, ProtocolError, encode

MAX_BODY = 1000
PIECE_BYTES = 262_144
HEAD_BYTES = 5 * 2**20
"""What one head may take when it is parsed: three bytes of its 65,536 can be an empty list, which has 64, and its
place in the list around it. Both are there twice where it has escapes."""


def decoded(pieces: list[bytes]) -> tuple[list[Message], bool]:
    """The messages, and whether the stream was broken."""
    decoder = Decoder(MAX_BODY)
    seen: list[Message] = []
    try:
        for piece in pieces:
            for message in decoder.feed(piece):
                seen.append(message)
    except ProtocolError:
        return seen, True
    return seen, False


@given(hostile.streams(), st.data())
def test_the_same_comes_out_however_the_stream_is_cut(stream: bytes, data: st.DataObject) -> None:
    assert decoded(data.draw(hostile.pieces(stream))) == decoded([stream])


@given(hostile.streams())
def test_what_came_out_is_within_the_limits_and_can_be_sent_on(stream: bytes) -> None:
    for message in decoded([stream])[0]:
        assert len(message.body) <= MAX_BODY
        try:
            again = encode(message)
        except ValueError as error:
            # Numbers can be longer in our spelling than in theirs; nothing else may be wrong with it.
            assert str(MAX_PAYLOAD) in str(error)
            continue
        assert decoded([again]) == ([message], False)


@given(st.lists(hostile.messages, max_size=5), st.data())
def test_what_was_encoded_comes_out_whole(messages: list[Message], data: st.DataObject) -> None:
    stream = b"".join(map(encode, messages))
    assert decoded(data.draw(hostile.pieces(stream))) == (messages, False)


@given(st.lists(hostile.messages.map(encode), min_size=2, max_size=3), st.data())
def test_streams_that_are_woven_into_each_other_are_messages_of_one_or_nothing(
    streams: list[bytes], data: st.DataObject
) -> None:
    """Several processes may write to the socket at once: what comes out was sent so, or the stream is over."""
    queues = [data.draw(hostile.pieces(stream)) for stream in streams]
    woven = []
    while any(queues):
        queue = data.draw(st.sampled_from([queue for queue in queues if queue]))
        woven.append(queue.pop(0))
    seen, is_broken = decoded(woven)
    assert is_broken or len(seen) <= len(streams)


@a_fraction(4)
@given(hostile.streams(), st.sampled_from([0, 1000, 2**20]))
def test_memory_is_bounded_by_one_piece_one_head_and_one_body(stream: bytes, max_body: int) -> None:
    decoder = Decoder(max_body)
    stream = stream * (1 + 2**19 // (len(stream) + 1))
    tracemalloc.start()
    try:
        for at in range(0, len(stream), PIECE_BYTES):
            for message in decoder.feed(stream[at : at + PIECE_BYTES]):
                del message
    except ProtocolError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # The piece itself, what is pending of it and the frame before, a frame's payload twice; the body and its copy.
    assert peak <= HEAD_BYTES + 4 * (PIECE_BYTES + MAX_PAYLOAD) + 2.2 * max_body
