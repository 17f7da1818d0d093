from __future__ import annotations

from typing import Any

import anyio
import pydantic_ai_toolset
from pydantic_ai import (
    Agent,
    BinaryContent,
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

import page
from belljar import AsyncSandbox, Result

CHART = "import matplotlib.pyplot as plt\nx = 41\nplt.plot([1, 2])\nprint('drawn')"


def scripted(*turns: list[str] | str) -> FunctionModel:
    """Says one thing after another: codes that are to be run, or text."""
    left = list(turns)

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        assert [tool.name for tool in info.function_tools] == ["run_python"]
        turn = left.pop(0)
        if isinstance(turn, str):
            return ModelResponse(parts=[TextPart(turn)])
        return ModelResponse(parts=[ToolCallPart("run_python", {"code": code}) for code in turn])

    return FunctionModel(answer)


def returns(messages: list[ModelMessage]) -> list[ToolReturnPart]:
    return [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]


def test_an_agent_runs_code_and_sees_charts() -> None:
    model = scripted([CHART], ["x + 1"], "It is 42.")
    result = anyio.run(pydantic_ai_toolset.main, model, "What?")
    assert result.output == "It is 42."
    drawn, computed = returns(result.all_messages())
    text, image = drawn.content
    assert text == "drawn\n"
    assert isinstance(image, BinaryContent)
    assert (image.media_type, image.data[:4]) == ("image/png", b"\x89PNG")
    assert isinstance(drawn.metadata, Result)
    assert computed.content == ["42\n"]


def test_calls_at_once_run_in_turn_and_errors_are_told() -> None:
    slow = "import time\ntime.sleep(0.5)\nprint('slow')"
    result = anyio.run(pydantic_ai_toolset.main, scripted([slow, "1/0", slow], "Done."), "Go")
    first, second, third = (part.content[0] for part in returns(result.all_messages()))
    assert first == third == "slow\n"
    assert "ZeroDivisionError" in second


def test_two_runs_of_an_agent_share_a_sandbox() -> None:
    async def both() -> list[Any]:
        async with AsyncSandbox() as box:
            toolset = pydantic_ai_toolset.python_toolset(box)
            agents = [Agent(scripted([f"print({n})"], str(n)), toolsets=[toolset]) for n in range(2)]
            runs: list[Any] = []
            async with anyio.create_task_group() as tasks:
                for agent in agents:

                    async def one(agent: Any = agent) -> None:
                        runs.append(await agent.run("go"))

                    tasks.start_soon(one)
            return runs

    runs = anyio.run(both)
    assert {run.output: returns(run.all_messages())[0].content for run in runs} == {
        "0": ["0\n"],
        "1": ["1\n"],
    }


def test_the_packages_own_test_model_finds_the_schema() -> None:
    result = anyio.run(pydantic_ai_toolset.main, TestModel(), "Go")
    [part] = returns(result.all_messages())
    assert part.metadata.document.return_code in (0, 1)  # it makes up some code, which was run


def test_the_page() -> None:
    assert page.run("pydantic_ai_toolset", scripted([CHART], "Done.")) == "Done.\n"
