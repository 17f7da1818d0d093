from __future__ import annotations

import base64
from typing import Any

import langchain_tool
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

import page
from belljar import Result, Sandbox

CHART = "import matplotlib.pyplot as plt\nx = 41\nplt.plot([1, 2])\nprint('drawn')"


class Scripted(BaseChatModel):
    """Says one thing after another, and keeps what it was told."""

    says: list[AIMessage]
    _told: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _tools: list[Any] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        self._tools = list(tools)
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self._told.append(messages)
        return ChatResult(generations=[ChatGeneration(message=self.says[len(self._told) - 1])])


def calls(*codes: str) -> AIMessage:
    return AIMessage(
        "",
        tool_calls=[
            {"name": "run_python", "args": {"code": code}, "id": f"call-{n}"} for n, code in enumerate(codes)
        ],
    )


def test_an_agent_runs_code_and_sees_charts() -> None:
    model = Scripted(says=[calls(CHART), calls("x + 1"), AIMessage("It is 42.")])
    messages = langchain_tool.main(model, "What?")
    assert messages[-1].text == "It is 42."
    drawn, computed = [message for message in messages if isinstance(message, ToolMessage)]
    text, image = drawn.content_blocks
    assert text["text"] == "drawn\n"
    assert image["mime_type"] == "image/png"
    assert base64.b64decode(image["base64"]).startswith(b"\x89PNG")
    assert isinstance(drawn.artifact, Result)
    assert drawn.artifact.images[0].data == base64.b64decode(image["base64"])
    assert computed.text == "42\n"  # the session is the same one
    assert model._told[-1][-1].content == computed.content
    assert "numpy" in model._tools[0].description


def test_calls_at_once_run_in_turn_and_errors_are_told() -> None:
    slow = "import time\ntime.sleep(0.5)\nprint('slow')"
    model = Scripted(says=[calls(slow, "1/0", slow), AIMessage("Done.")])
    told = [message for message in langchain_tool.main(model, "Go") if isinstance(message, ToolMessage)]
    assert [message.text for message in told][::2] == ["slow\n", "slow\n"]
    assert "ZeroDivisionError" in told[1].text
    assert told[1].artifact.outcome.status == "raised"


@pytest.mark.parametrize("with_charts", [True, False])
def test_charts_can_be_left_out(with_charts: bool) -> None:
    with Sandbox() as box:
        tool = langchain_tool.python_tool(box, with_charts=with_charts)
        message = tool.invoke({"name": tool.name, "args": {"code": CHART}, "id": "1", "type": "tool_call"})
        assert len(message.content) == 1 + with_charts
        assert len(message.artifact.images) == 1
        silent = tool.invoke({"name": tool.name, "args": {"code": "pass"}, "id": "2", "type": "tool_call"})
        assert silent.text == "(no output)"


def test_the_page() -> None:
    assert (
        page.run("langchain_tool", Scripted(says=[calls(CHART), AIMessage("Done.")])) == "drawn\n 1 chart\n"
    )
