"""Whatever a guest says of its calls and asks of its caller's tools: it is taken within limits, or ends the run."""

from __future__ import annotations

import json
import math
from typing import Any

import anyio
import hostile
from hypothesis import given
from hypothesis import strategies as st

from belljar.frames import Message, ProtocolError
from belljar.gateway import tools
from belljar.gateway.tools import text_editor
from belljar.keeper.runs import Run
from belljar.records import Limits
from belljar.results import CallResult
from belljar.wire.execution import Truncated

_heads = st.fixed_dictionaries(
    {},
    optional={
        "call": st.integers(-1, 3) | hostile.json_values,
        "name": st.sampled_from(["stdout", "stderr"]) | hostile.json_values,
        "return_code": st.integers(-1, 256) | hostile.json_values,
    },
)
_questions = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "ask": st.integers(-1, 5) | hostile.json_values,
            "name": st.sampled_from(["x", "y"]) | st.text(max_size=10) | hostile.json_values,
            "input": st.dictionaries(st.text(max_size=5), hostile.json_values) | hostile.json_values,
        },
    ),
    max_size=4,
)
_bodies = st.binary(max_size=40) | (_questions | hostile.json_values).map(
    lambda value: json.dumps(value, default=str).encode("utf-8", "surrogatepass")
)
_messages = st.builds(Message, st.sampled_from(["said", "called", "ask"]), _heads, _bodies)


@given(st.lists(_messages, max_size=12))
def test_any_word_on_calls_and_questions(said: list[Message]) -> None:
    emitted: list[Message] = []

    async def emit(message: Message) -> None:
        emitted.append(message)

    async def play() -> None:
        run = Run(1, emit, Limits(output_bytes=1024), calls=2, timeout_seconds=1)
        run.offer_tools(["x", "y"])
        with anyio.CancelScope(deadline=anyio.current_time() + 60) as run.clock:
            take = {"said": run.said, "called": run.called, "ask": run.asks}
            for message in said:
                try:
                    take[message.kind](message)
                except ProtocolError:
                    continue
            await run.tell_rest()
            waits = sum(len(json.loads(m.body)) for m in emitted if m.kind == "ask")
            assert (run.clock.deadline == math.inf) == (waits > 0)
        for message in emitted:
            if message.kind == "ask":
                for question in json.loads(message.body.decode()):
                    assert type(question["ask"]) is int and isinstance(question["input"], dict)
            else:
                assert message.head["call"] in (0, 1)
        assert all(call.return_code is None or 0 <= call.return_code <= 255 for call in run.calls)

    anyio.run(play)


_NUMBERS = ("num_lines", "start_line", "total_lines", "old_start", "old_lines", "new_start", "new_lines")
_numbers = st.integers(-1, 10) | hostile.json_values
_edits: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"result": st.sampled_from(["view", "create", "str_replace", "error"]) | hostile.json_values},
    optional={
        "file_type": st.sampled_from(["text", "image", "pdf"]) | hostile.json_values,
        "content": st.text(max_size=20) | hostile.json_values,
        "is_file_update": hostile.json_values,
        "lines": st.lists(st.text(max_size=5)) | hostile.json_values,
        "error_code": st.just("file_not_found") | hostile.json_values,
        "error_message": st.text(max_size=5) | hostile.json_values,
        **dict.fromkeys(_NUMBERS, _numbers),
    },
)


@given(st.none() | st.integers(0, 255), st.binary(max_size=40) | _edits.map(lambda v: json.dumps(v).encode()))
def test_any_word_of_the_editor(return_code: int | None, body: bytes) -> None:
    done = text_editor.edited(CallResult("", "", return_code, Truncated(), body), "It was stopped.")
    if isinstance(done, tools.Failed):
        assert done.error_code in {"unavailable", "file_not_found", "invalid_tool_input"}
        done.message.encode()
    else:
        assert isinstance(done, tools.Edited)
        json.dumps(done.fields, ensure_ascii=False, allow_nan=False).encode()
