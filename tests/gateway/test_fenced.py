"""Models that write code in fences, played as models that call tools."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import said, text

from belljar.gateway.turn import MessageFold, events_of
from belljar.gateway.upstream import Caller, Event, Request, Traits, fenced
from belljar.gateway.upstream.fenced import FencedUpstream, _Turn, without_tools

pytestmark = pytest.mark.anyio

CODE = {"name": "code_execution", "description": "Runs Python.", "input_schema": {}}
BASH = {"name": "bash_code_execution", "description": "Runs commands.", "input_schema": {}}
OWN = {"name": "own", "input_schema": {}}


class Writer:
    """An upstream that writes one text, in pieces of a size."""

    kind = "anthropic"

    def __init__(self, words: str, size: int = 3) -> None:
        self.words, self.size = words, size
        self.requests: list[Request] = []
        self.is_at_end = False

    def traits(self, model_id: str) -> Traits:
        return Traits(cites=True)

    async def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        self.requests.append(request)
        for event in events_of(said([text(self.words)]), self.size):
            yield event
        self.is_at_end = True

    async def count_tokens(self, request: Request, caller: Caller) -> int | None:
        self.requests.append(request)
        return 5

    async def models(self, caller: Caller) -> list[dict[str, Any]]:
        return []

    async def model(self, model_id: str, caller: Caller) -> dict[str, Any] | None:
        return None


async def written(words: str, *tools: dict[str, Any], size: int = 3) -> dict[str, Any]:
    request: Request = {"model": "m", "messages": [{"role": "user", "content": "Go."}], "tools": [*tools]}
    fold = MessageFold()
    async for event in FencedUpstream(Writer(words, size)).stream(request, Caller()):
        fold.add(event)
    assert fold.stopped
    return fold.result()


def uses(message: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(block["name"], block["input"]) for block in message["content"] if block["type"] == "tool_use"]


def words_of(message: dict[str, Any]) -> str:
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_a_fence_is_a_use_and_ends_the_turn(size: int) -> None:
    words = "I compute:\n```python\nprint(6 * 7)\nx = '```'\n```\nIt prints 41.\n```python\nnever\n```"
    message = await written(words, CODE, size=size)
    assert uses(message) == [("code_execution", {"code": "print(6 * 7)\nx = '```'\n"})]
    assert words_of(message) == "I compute:\n"
    assert message["stop_reason"] == "tool_use"
    assert message["usage"]["output_tokens"] == 0, "it was not counted yet: the loop estimates it"


@pytest.mark.parametrize(
    ("words", "tools", "found"),
    [
        ("```py\n1\n```", [CODE], [("code_execution", {"code": "1\n"})]),
        ("  ``` Python \n1\n  ```  ", [CODE], [("code_execution", {"code": "1\n"})]),
        ("```tool_code\r\n1\r\n```\r\n", [CODE], [("code_execution", {"code": "1\r\n"})]),
        ("```sh\nls\n```", [CODE, BASH], [("bash_code_execution", {"command": "ls\n"})]),
        ("```python\n1\n```", [BASH], [("bash_code_execution", {"command": "1\n"})]),
        ("```sh\nls\n```", [CODE], []),
        ("```json\n{}\n```", [CODE], []),
        ("```\n1\n```", [CODE], []),
        ("So:\n```python\nprint(1)\n# 1", [CODE], [("code_execution", {"code": "print(1)\n# 1"})]),
        ("```python\n1\n``", [CODE], [("code_execution", {"code": "1\n``"})]),
        ("```python\n \n", [CODE], []),
        ("Say ```python inline``` so.", [CODE], []),
        ("```python\n1\n```", [], []),
        ("```python\n1\n```", [OWN], []),
        ("", [CODE], []),
    ],
)
async def test_what_is_a_fence(words: str, tools: list[dict[str, Any]], found: list[Any]) -> None:
    for size in (1, 5):
        message = await written(words, *tools, size=size)
        assert uses(message) == found
        if not found:
            assert words_of(message) == words
            assert message["stop_reason"] == "end_turn"


@pytest.mark.parametrize("words", ["```python\n1\n```", "\n\n```python\n1\n```\nmore", "```python\n1"])
async def test_a_fence_with_nothing_before_it_has_no_empty_text(words: str) -> None:
    for size in (1, 4, 100):
        message = await written(words, CODE, size=size)
        assert [block["type"] for block in message["content"]] == ["tool_use"]


@pytest.mark.parametrize("reason", ["max_tokens", "refusal"])
async def test_a_fence_that_was_cut_off_is_text(reason: str) -> None:
    words = "So:\n```python\nprint(1)"
    turn, fold = _Turn({"code_execution"}), MessageFold()
    for event in events_of({**said([text(words)]), "stop_reason": reason}, 3):
        for out in turn.take(event):
            fold.add(out)
    assert fold.stopped
    assert words_of(fold.result()) == words and fold.result()["stop_reason"] == reason


async def test_what_follows_an_open_fence_shows_that_it_is_no_use() -> None:
    blocks = [text("```python\nprint(1)"), text("Or not.")]
    turn, fold = _Turn({"code_execution"}), MessageFold()
    for event in events_of(said(blocks), 3):
        for out in turn.take(event):
            fold.add(out)
    assert fold.result()["content"] == blocks


@given(st.text(alphabet="`python \nab\r", max_size=60), st.integers(1, 9))
def test_nothing_is_lost_of_text_without_a_use(words: str, size: int) -> None:
    import anyio

    message = anyio.run(written, words, CODE)
    if not uses(message):
        assert words_of(message) == words
    else:
        ((_, given_input),) = uses(message)
        assert words.replace("\r", "").startswith(words_of(message).replace("\r", ""))
        assert given_input["code"] in words


def test_the_request_in_text() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    request: Request = {
        "model": "m",
        "system": "Be brief.",
        "tools": [CODE, BASH, OWN],
        "tool_choice": {"type": "tool", "name": "code_execution"},
        "messages": [
            {"role": "user", "content": "Go."},
            {
                "role": "assistant",
                "content": [
                    text("So:"),
                    {
                        "type": "tool_use",
                        "id": "1",
                        "name": "code_execution",
                        "input": {"code": "print(1)\n"},
                    },
                    {
                        "type": "tool_use",
                        "id": "2",
                        "name": "bash_code_execution",
                        "input": {"command": "ls"},
                    },
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "1", "content": [text("1"), picture]},
                    {"type": "tool_result", "tool_use_id": "2", "content": "no", "is_error": True},
                ],
            },
        ],
    }
    out = without_tools(request)
    assert out["tools"] == [OWN]
    assert "tool_choice" not in out
    assert out["system"][0] == text("Be brief.")
    assert "```python" in out["system"][1]["text"] and "Runs commands." in out["system"][1]["text"]
    assert [block["text"] for block in out["messages"][1]["content"]] == [
        "So:",
        "```python\nprint(1)\n```",
        "```bash\nls\n```",
    ]
    assert [block["type"] for block in out["messages"][2]["content"]] == ["text", "image", "text"]
    assert out["messages"][2]["content"][0]["text"].startswith(
        "[Output of the code, from the sandbox]\n1\n[This is"
    )
    assert (
        out["messages"][2]["content"][2]["text"] == "[Output of the code, from the sandbox] (it failed)\nno"
    )


def test_a_request_without_tools_goes_on_as_it_is() -> None:
    request: Request = {"model": "m", "messages": [{"role": "user", "content": "Hello."}]}
    assert without_tools(request) is request


async def test_tokens_are_counted_of_what_is_sent() -> None:
    writer = Writer("")
    request: Request = {"model": "m", "messages": [{"role": "user", "content": "Go."}], "tools": [CODE]}
    assert await FencedUpstream(writer).count_tokens(request, Caller()) == 5
    assert "tools" not in writer.requests[0]


@pytest.mark.parametrize("line", ["x = 1\n", "x", "`x` ", "```x "])
def test_a_program_that_comes_in_small_pieces_is_searched_once(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = 0
    closing = fenced._CLOSING

    class Closing:
        def search(self, words: str, start: int) -> re.Match[str] | None:
            nonlocal searched
            searched += len(words) - start
            return closing.search(words, start)

    monkeypatch.setattr(fenced, "_CLOSING", Closing())
    written = "a\n```python\n" + line * 500 + "\n```\nb"
    turn, fold = _Turn({"code_execution"}), MessageFold()
    for event in events_of(said([text(written)]), 3):
        for out in turn.take(event):
            fold.add(out)
        if turn.is_over:
            break
    assert uses(fold.result()) == [("code_execution", {"code": line * 500 + "\n"})]
    assert searched < 3 * len(written)


def test_something_else_than_text_may_come_first_in_a_text() -> None:
    turn = _Turn({"code_execution"})
    start, *_, stop, end, last = events_of(said([text("It is so.")]))
    block = {"type": "content_block_start", "index": 0, "content_block": text("")}
    cited = {"type": "citations_delta", "citation": {"cited_text": "so"}}
    delta = {"type": "content_block_delta", "index": 0, "delta": cited}
    out = [one for event in (start, block, delta, stop, end, last) for one in turn.take(event)]
    assert out == [start, block, delta, stop, end, last]
