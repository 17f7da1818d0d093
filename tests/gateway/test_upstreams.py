"""Upstreams without a model, and the URLs of those with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from serving import text

from belljar.errors import InvalidRequest
from belljar.gateway.upstream import direct, scripted
from belljar.gateway.upstream.anthropic import messages_url
from belljar.gateway.upstream.openai import completions_url
from belljar.gateway.upstream.opening import open_upstream
from belljar.gateway.upstream.server import shown_url
from belljar.settings import Settings

SCRIPT = """
[[conversation]]
when = "sum"

[[conversation.turn]]
thinking = "Add."
text = "I add."
codes = ["print(1)", "print(2)"]

[[conversation.turn]]
code = "print(3)"

[[conversation.turn]]
text = "It is {{ stdout }}, {{stdout}}."

[[conversation]]
when = "hello"

[[conversation.turn]]
text = "Hi."
"""


def asking(prompt: str, *outputs: str, is_error: bool = False, tools: bool = True) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
    for number, output in enumerate(outputs):
        content = {
            "type": "tool_result",
            "tool_use_id": str(number),
            "content": [text(output)],
            "is_error": is_error,
        }
        messages += [{"role": "assistant", "content": []}, {"role": "user", "content": [content]}]
    return {"messages": messages, "tools": [{"name": "code_execution"}] if tools else []}


@pytest.fixture
def script(tmp_path: Path) -> scripted.Script:
    file = tmp_path / "script.toml"
    file.write_text(SCRIPT)
    return scripted.load(file)


def codes(blocks: list[dict[str, Any]]) -> list[str]:
    return [block["input"]["code"] for block in blocks if block["type"] == "tool_use"]


def test_a_script_turn_by_turn(script: scripted.Script) -> None:
    first = scripted.answer(script, asking("the sum, please"))
    assert [block["type"] for block in first] == ["thinking", "text", "tool_use", "tool_use"]
    assert codes(first) == ["print(1)", "print(2)"]
    assert codes(scripted.answer(script, asking("sum", "1\n", "2\n"))) == ["print(3)"]
    assert scripted.answer(script, asking("sum", "1", "2", " 3\n")) == [text("It is 3, 3.")]
    assert scripted.answer(script, asking("hello there")) == [text("Hi.")]
    assert "'sum', 'hello'" in scripted.answer(script, asking("other"))[0]["text"]


def test_the_last_prompt_counts(script: scripted.Script) -> None:
    request = asking("sum", "1", "2", "3")
    request["messages"].append({"role": "user", "content": [text("hello")]})
    assert scripted.answer(script, request) == [text("Hi.")]


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[[conversation", "is not TOML"),
        ("", "conversation: Field required"),
        ("[[conversation]]\nwhen = 'x'", "conversation.0.turn: Field required"),
        ("[[conversation]]\n[[conversation.turn]]\ncoed = 'x'", "conversation.0.turn.0.coed: Extra inputs"),
    ],
)
def test_broken_scripts(tmp_path: Path, toml: str, says: str) -> None:
    file = tmp_path / "script.toml"
    file.write_text(toml)
    with pytest.raises(InvalidRequest, match=says):
        scripted.load(file)
    with pytest.raises(InvalidRequest, match="cannot be read"):
        scripted.load(tmp_path / "none.toml")


def test_direct_runs_what_is_fenced() -> None:
    prompt = "Please:\n```python\nprint(1)\n```\nand then\n```py\nprint(2)\n```\n```js\nno\n```"
    assert codes(direct.answer(asking(prompt))) == ["print(1)\n"]
    assert codes(direct.answer(asking(prompt, "1"))) == ["print(2)\n"]
    assert direct.answer(asking(prompt, "1", "2\n")) == [text("2")]
    failed = direct.answer(asking(prompt, "Traceback", is_error=True))
    assert failed == [text("Block 1 of 2 failed:\n\nTraceback")]


def test_direct_says_how_to_connect_a_model() -> None:
    for request in (asking("What is 6 * 7?"), asking("```python\n1\n```", tools=False)):
        (block,) = direct.answer(request)
        for words in ("--upstream anthropic:", "ANTHROPIC_API_KEY", "BELLJAR_UPSTREAM"):
            assert words in block["text"]


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://h", "http://h/v1/messages"),
        ("http://h/", "http://h/v1/messages"),
        ("http://h/v1", "http://h/v1/messages"),
        ("http://h/api/v1/", "http://h/api/v1/messages"),
        ("http://h/v1/messages", "http://h/v1/messages"),
    ],
)
def test_base_urls(base: str, url: str) -> None:
    assert messages_url(base) == url
    assert completions_url(base.replace("messages", "chat/completions")) == url.replace(
        "messages", "chat/completions"
    )


def test_a_url_is_shown_without_secrets() -> None:
    assert shown_url("https://user:secret@h:8443/v1/messages?key=secret") == "https://h:8443/v1/messages"


@pytest.mark.anyio
@pytest.mark.parametrize("upstream", ["", "anthropic", "anthropic:h", "openai:h", "scripted:", "direct:x"])
async def test_upstreams_that_there_are_not(upstream: str) -> None:
    with pytest.raises(InvalidRequest, match="upstream: "):
        async with open_upstream(Settings(upstream=upstream)):
            pass
