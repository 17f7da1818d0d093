from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import smolagents_executor
from smolagents import ChatMessage, CodeAgent, MessageRole, Model, Tool, tool

import page
from belljar import Sandbox

CHART = "import matplotlib.pyplot as plt\nx = 41\nplt.plot([1, 2])\nprint('drawn')"


class Scripted(Model):
    """Writes one program after another, and keeps what it was told."""

    def __init__(self, *codes: str) -> None:
        super().__init__(model_id="scripted")
        self.codes = list(codes)
        self.told: list[list[ChatMessage]] = []

    def generate(self, messages: list[ChatMessage], **_: Any) -> ChatMessage:
        self.told.append(list(messages))
        said = f"Thought: I compute.\n<code>\n{self.codes[len(self.told) - 1]}\n</code>"
        return ChatMessage(role=MessageRole.ASSISTANT, content=said)


@tool
def twice(number: int) -> int:
    """Doubles a number.

    Args:
        number: what to double
    """
    return 2 * number


class Needy(Tool):
    name = "needy"
    description = "Needs what is nowhere installed."
    inputs = {}  # noqa: RUF012
    output_type = "string"

    def forward(self) -> str:
        import belljar_has_no_such_package

        return str(belljar_has_no_such_package)


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box


def agent(box: Sandbox, *codes: str, tools: tuple[Tool, ...] = (), **more: Any) -> CodeAgent:
    executor = smolagents_executor.BelljarExecutor(box)
    return CodeAgent(list(tools), Scripted(*codes), executor=executor, verbosity_level=0, **more)


def test_an_agent_runs_code_sees_charts_and_answers() -> None:
    model = Scripted(CHART, "print(x + 1)\nx + 2", "final_answer({'x': x, 'pair': (1, 2)})")
    assert smolagents_executor.main(model, "What?") == {"x": 41, "pair": (1, 2)}
    after_chart = model.told[1]
    assert any(
        part["type"] == "image"
        for message in after_chart
        for part in message.content
        if isinstance(part, dict)
    )
    assert "drawn" in str(after_chart[-1].content)
    assert "42" in str(model.told[2][-1].content)
    assert "43" in str(model.told[2][-1].content)


def test_tools_and_variables_are_sent(box: Sandbox) -> None:
    found = agent(box, "final_answer([twice(n) for n in numbers])", tools=(twice,)).run(
        "Go", additional_args={"numbers": [1, 2, 3]}
    )
    assert found == [2, 4, 6]


def test_an_error_is_told_and_the_agent_goes_on(box: Sandbox) -> None:
    working = agent(box, "kept = 1\nkept / 0", "final_answer(kept)")
    assert working.run("Go") == 1
    assert "ZeroDivisionError" in str(working.model.told[1][-1].content)


def test_answers_of_all_sizes_and_kinds(box: Sandbox) -> None:
    code = "import numpy as np\nfinal_answer({'text': 'é' * 500_000, 'array': np.arange(3), 'kept': {1}})"
    found = agent(box, code).run("Go")
    assert found["text"] == "é" * 500_000
    assert np.array_equal(found["array"], [0, 1, 2])
    assert found["kept"] == {1}
    picture = agent(box, "from PIL import Image\nfinal_answer(Image.new('RGB', (3, 2), 'red'))").run("Go")
    assert picture.to_raw().size == (3, 2)


def test_what_cannot_be_an_answer_is_told(box: Sandbox) -> None:
    asked = agent(box, "final_answer(object())", "final_answer('so')")
    assert asked.run("Go") == "so"
    assert "Cannot safely serialize" in str(asked.model.told[1][-1].content)


def test_what_tools_lack_is_said(box: Sandbox) -> None:
    with pytest.raises(Exception, match="The runtime lacks belljar_has_no_such_package"):
        agent(box, "pass", tools=(Needy(),)).run("Go")


def test_managed_agents_are_refused(box: Sandbox) -> None:
    below = CodeAgent([], Scripted(), name="below", description="Helps.", verbosity_level=0)
    with pytest.raises(ValueError, match="managed agents cannot be sent into the jail: below"):
        agent(box, "pass", managed_agents=[below]).run("Go")


def test_a_limit_is_told() -> None:
    with Sandbox(timeout_seconds=1) as short:
        asked = agent(short, "while True: pass", "final_answer(1)")
        assert asked.run("Go") == 1
        assert "The run was stopped after 1 s" in str(asked.model.told[1][-1].content)


def test_the_page() -> None:
    model = Scripted(CHART, "final_answer(sum(n * n for n in range(10)))")
    assert page.run("smolagents_executor", model).endswith("285\n")
    assert any("image" in str(message.content) for message in model.told[-1])
