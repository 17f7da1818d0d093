"""What one who knows the grammar and wants to break it would send: mostly right, and wrong in one place."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from belljar.frames import BODY, HEAD, HEADER, MAX_PAYLOAD, Message, encode

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
heads = st.dictionaries(
    st.text(max_size=8).filter(lambda name: name not in ("kind", "body")), json_values, max_size=4
)
messages = st.builds(Message, st.text(max_size=10), heads, st.binary(max_size=300))

_broken_json = st.sampled_from(
    [
        b"",
        b"[" * MAX_PAYLOAD,
        b'{"a":' * 13_000,
        b'{"kind":"x","body":' + b"9" * 5000 + b"}",
        b'{"kind":"x","body":0,"a":-1e999}',
        b'{"kind":"x","body":0,"a":NaN}',
        b'{"kind":"x","kind":"y","body":1,"body":0}',
        b'{"kind":"x","body":0,"a":"\\ud800"}',
        b'{"kind":"x","body":0,"\\udfff\\ud800":{"\\ud800":[]}}',
        '{"kind":"x","body":0}'.encode("utf-16"),
        b'\xef\xbb\xbf{"kind":"x","body":0}',
        b'{"kind":"x","body":0,"a":[' + b"[]," * 21_000 + b"0]}",
        b'{"kind":"x","body":0,"a":{' + b",".join(b'"%d":{}' % n for n in range(5000)) + b"}}",
    ]
)
_payloads = (
    st.binary(max_size=40)
    | _broken_json
    | heads.map(lambda head: json.dumps(head).encode())
    | st.builds(
        lambda head, body, kind: json.dumps(head | {"body": body, "kind": kind}).encode(),
        heads,
        st.integers(-2, 10) | st.integers() | json_values,
        st.text(max_size=5) | json_values,
    )
)


def frame(kind: int, payload: bytes, zero: bytes = b"\0\0\0", length: int | None = None) -> bytes:
    return HEADER.pack(kind, zero, len(payload) if length is None else length) + payload


_frames = st.builds(
    frame,
    st.sampled_from([HEAD, HEAD, BODY, 0, 3, 255]),
    _payloads,
    st.sampled_from([b"\0\0\0"] * 8 + [b"\0\0\1", b"\xff\0\0"]),
    st.none() | st.integers(0, 60) | st.sampled_from([MAX_PAYLOAD, MAX_PAYLOAD + 1, 2**31, 2**32 - 1]),
)
_pieces = st.one_of(
    messages.map(encode), _frames, _broken_json.map(lambda text: frame(HEAD, text)), st.binary(max_size=20)
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Bytes that are messages for a while, in most cases."""
    data = b"".join(draw(st.lists(_pieces, max_size=6)))
    if data and draw(st.booleans()):
        changed = bytearray(data)
        for at, value in draw(st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=3)):
            changed[at % len(changed)] = value
        data = bytes(changed)
    return data


@st.composite
def pieces(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes as they may come out of a socket."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


finished: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "run": json_values,
        "status": st.just("raised")
        | st.sampled_from(
            "completed raised exited timed_out out_of_memory disk_full lost crashed interrupted".split()
        )
        | json_values,
        "return_code": st.integers(-300, 300) | json_values,
        "exit_status": st.integers(),
        "stop": st.text(),
        "oom_kills": st.integers(),
    },
)
"""The head of an end, as a guest may forge it."""

_texts = st.text(max_size=20) | json_values
_frames = st.fixed_dictionaries(
    dict.fromkeys(("file", "line", "function", "code", "is_own", "left_out"), _texts)
)
_values = st.fixed_dictionaries(dict.fromkeys(("name", "type", "text"), _texts))
descriptions = (
    st.binary(max_size=60)
    | _broken_json
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {},
        optional={
            "ename": st.text(max_size=300) | json_values,
            "evalue": st.text() | json_values,
            "traceback": st.lists(st.text() | json_values, max_size=5) | json_values,
            "brief": st.lists(st.text() | json_values, max_size=5) | json_values,
            "frames": st.lists(_frames | json_values, max_size=3) | json_values,
            "values": st.lists(_values | json_values, max_size=3) | json_values,
            "hint": st.text() | json_values,
        },
    ).map(lambda body: json.dumps(body).encode())
    | st.just(json.dumps({"ename": "E" * 300, "evalue": "\ud800", "traceback": ["x"] * 3000}).encode())
    | st.just(b'{"ename":' + b"9" * 5000 + b',"evalue":1e999,"traceback":[NaN,"\xed\xa0\x80"]}')
)
"""The body of an end: what an exception would be told by."""
