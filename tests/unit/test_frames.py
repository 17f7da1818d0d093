"""The only grammar that the keeper reads from hostile processes."""

from __future__ import annotations

import json
import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.frames import BODY, HEAD, HEADER, MAX_PAYLOAD, Decoder, Message, ProtocolError, encode

MAX_BODY = 200_000

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
_heads = st.dictionaries(st.text().filter(lambda name: name not in ("kind", "body")), _json, max_size=5)
_messages = st.builds(Message, st.text(), _heads, st.binary(max_size=300))


def frame(kind: int, payload: bytes, *, zero: bytes = b"\0\0\0", length: int | None = None) -> bytes:
    return HEADER.pack(kind, zero, len(payload) if length is None else length) + payload


def head(**fields: Any) -> bytes:
    return frame(HEAD, json.dumps(fields).encode())


def decode(data: bytes, max_body: int = MAX_BODY) -> list[Message]:
    return list(Decoder(max_body).feed(data))


@given(st.lists(_messages, max_size=4), st.data())
def test_what_is_encoded_is_decoded_however_the_stream_is_cut(
    messages: list[Message], data: st.DataObject
) -> None:
    stream = b"".join(map(encode, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    decoder = Decoder(MAX_BODY)
    seen: list[Message] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        seen += decoder.feed(stream[start:end])
    assert seen == messages
    assert decoder.is_between_messages


@pytest.mark.parametrize("size", [0, 1, MAX_PAYLOAD - 1, MAX_PAYLOAD, MAX_PAYLOAD + 1, 3 * MAX_PAYLOAD])
def test_bodies_of_any_size_arrive_whole(size: int) -> None:
    message = Message("x", {}, bytes(range(256)) * (size // 256) + bytes(size % 256))
    stream = encode(message)
    assert decode(stream) == [message]
    decoder = Decoder(MAX_BODY)
    assert [m for byte in range(len(stream)) for m in decoder.feed(stream[byte : byte + 1])] == [message]


def test_a_stream_that_ends_inside_a_message_says_so() -> None:
    stream = encode(Message("x", {}, b"body"))
    for end in range(1, len(stream)):
        decoder = Decoder(MAX_BODY)
        assert list(decoder.feed(stream[:end])) == []
        assert not decoder.is_between_messages


def test_what_came_before_a_violation_is_still_handed_over() -> None:
    decoder = Decoder(MAX_BODY)
    messages = decoder.feed(encode(Message("good", {})) + b"\xff" * 8)
    assert next(messages) == Message("good", {})
    with pytest.raises(ProtocolError):
        next(messages)


@pytest.mark.parametrize(
    "stream",
    {
        "no such kind of frame": frame(0, b""),
        "another kind": frame(3, b"{}"),
        "reserved bytes": frame(HEAD, b'{"kind":"x","body":0}', zero=b"\0\0\1"),
        "a length over the limit": frame(HEAD, b"", length=MAX_PAYLOAD + 1),
        "the largest length there is": frame(BODY, b"", length=2**32 - 1),
        "an empty head": frame(HEAD, b""),
        "no JSON": frame(HEAD, b"hello"),
        "no UTF-8": frame(HEAD, b'{"kind":"\xff","body":0}'),
        "two values": frame(HEAD, b'{"kind":"x","body":0}{}'),
        "a list": frame(HEAD, b"[]"),
        "a string": frame(HEAD, b'"kind"'),
        "no kind": head(body=0),
        "a kind that is a number": head(kind=1, body=0),
        "a kind that is null": head(kind=None, body=0),
        "no body's length": head(kind="x"),
        "a negative length": head(kind="x", body=-1),
        "a length that is true": head(kind="x", body=True),
        "a length that is a float": head(kind="x", body=1.0),
        "a length that is a string": head(kind="x", body="1"),
        "a body over this end's limit": head(kind="x", body=MAX_BODY + 1),
        "an integer of 10,000 digits": frame(HEAD, b'{"kind":"x","body":' + b"9" * 10_000 + b"}"),
        "NaN": frame(HEAD, b'{"kind":"x","body":0,"a":NaN}'),
        "Infinity": frame(HEAD, b'{"kind":"x","body":0,"a":Infinity}'),
        "-Infinity": frame(HEAD, b'{"kind":"x","body":0,"a":-Infinity}'),
        "a number beyond all numbers": frame(HEAD, b'{"kind":"x","body":0,"a":1e999}'),
        "a number below all numbers": frame(HEAD, b'{"kind":"x","body":0,"a":[-1e999]}'),
        "half a character": frame(HEAD, b'{"kind":"x","body":0,"a":"\\ud800"}'),
        "half a character behind backslashes": frame(HEAD, b'{"kind":"x","body":0,"a":"\\\\\\\\\\uDBFF"}'),
        "a character of two escapes": frame(HEAD, b'{"kind":"x","body":0,"a":"\\ud83d\\ude00"}'),
        "half a character in a name": frame(HEAD, b'{"kind":"x","body":0,"\\udfff":1}'),
        "half a character as bytes": frame(HEAD, b'{"kind":"x","body":0,"a":"\xed\xa0\x80"}'),
        "UTF-16": frame(HEAD, '{"kind":"x","body":0}'.encode("utf-16")),
        "UTF-32": frame(HEAD, '{"kind":"x","body":0}'.encode("utf-32")),
        "a byte order mark": frame(HEAD, b'\xef\xbb\xbf{"kind":"x","body":0}'),
        "lists in lists in lists": frame(HEAD, b'{"kind":"x","body":0,"a":' + b"[" * 60_000),
        "objects in objects": frame(HEAD, b'{"a":' * 12_000 + b"0" + b"}" * 5_000),
        "a body without a head": frame(BODY, b"x"),
        "an empty body": head(kind="x", body=1) + frame(BODY, b""),
        "more body than announced": head(kind="x", body=1) + frame(BODY, b"xx"),
        "a body where none was announced": head(kind="x", body=0) + frame(BODY, b"x"),
        "a body in crumbs": head(kind="x", body=2) + frame(BODY, b"x") + frame(BODY, b"x"),
        "a body in pieces": head(kind="x", body=MAX_PAYLOAD + 1)
        + frame(BODY, b"x")
        + frame(BODY, bytes(MAX_PAYLOAD)),
        "a head inside a body": head(kind="x", body=MAX_PAYLOAD + 1)
        + frame(BODY, bytes(MAX_PAYLOAD))
        + head(kind="y", body=0),
    }.items(),
    ids=lambda item: item[0],
)
def test_every_violation_ends_the_stream(stream: tuple[str, bytes]) -> None:
    with pytest.raises(ProtocolError):
        decode(stream[1])


@given(st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_a_protocol_error(data: bytes) -> None:
    try:
        messages = decode(data)
    except ProtocolError:
        return
    assert messages == []


@given(st.binary(max_size=200))
def test_random_bytes_in_a_head_raise_nothing_but_a_protocol_error(payload: bytes) -> None:
    try:
        decode(frame(HEAD, payload))
    except ProtocolError:
        return


@given(_messages, st.integers(min_value=0), st.integers(0, 255))
def test_a_changed_byte_raises_nothing_but_a_protocol_error(message: Message, at: int, value: int) -> None:
    stream = bytearray(encode(message))
    stream[at % len(stream)] = value
    try:
        decode(bytes(stream))
    except ProtocolError:
        return


def test_announcing_much_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        decoder = Decoder(1 << 40)
        assert list(decoder.feed(head(kind="x", body=1 << 40) + frame(BODY, b"x" * MAX_PAYLOAD))) == []
        assert list(decoder.feed(HEADER.pack(BODY, b"\0\0\0", MAX_PAYLOAD))) == []
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_encoding_copies_a_body_once() -> None:
    message = Message("x", {}, bytes(16 * 2**20))
    tracemalloc.start()
    try:
        assert len(encode(message)) > len(message.body)
        assert tracemalloc.get_traced_memory()[1] < 1.1 * len(message.body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text", ["\\ud800", "\\\\udfff\\", "\U0001f600\0\x1f", "\\u00e4\\", "\\\ud7ff\\\ue000"]
)
def test_what_looks_like_half_a_character_is_text(text: str) -> None:
    message = Message("x", {"text": text, text: [text]})
    assert decode(encode(message)) == [message]


def test_a_long_stream_of_messages_takes_the_memory_of_one() -> None:
    decoder = Decoder(MAX_BODY)
    stream = encode(Message("x", {}, b"y" * MAX_PAYLOAD))
    tracemalloc.start()
    try:
        for _ in range(100):
            for message in decoder.feed(stream):
                assert len(message.body) == MAX_PAYLOAD
        assert tracemalloc.get_traced_memory()[1] < 8 * MAX_PAYLOAD
    finally:
        tracemalloc.stop()


def test_a_head_larger_than_a_frame_is_refused_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="'big' message"):
        encode(Message("big", {"text": "x" * MAX_PAYLOAD}))


def test_a_head_that_is_not_json_is_refused_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(Message("x", {"number": math.nan}))


def test_a_lone_surrogate_does_not_break_the_stream() -> None:
    assert decode(encode(Message("x", {"text": "a\ud800b"}))) == [Message("x", {"text": "a?b"})]


def test_a_head_cannot_overrule_its_kind_and_length() -> None:
    assert decode(encode(Message("x", {"kind": "y", "body": 99}, b"z"))) == [Message("x", {}, b"z")]
