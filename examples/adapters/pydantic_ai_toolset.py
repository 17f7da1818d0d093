"""Belljar as a toolset for pydantic-ai: the model reads text and charts.

    pip install belljar "pydantic-ai-slim[openai]"
    python pydantic_ai_toolset.py openai:gpt-5-mini

A tool's return value is what the code printed, and its charts as `BinaryContent`; the `metadata` of the
`ToolReturnPart` is the `belljar.Result`, which the model does not see.
"""

from __future__ import annotations

import sys
from typing import Any

import anyio
from pydantic_ai import Agent, AgentRunResult, BinaryContent, FunctionToolset, ToolReturn
from pydantic_ai.models import Model

from belljar import AsyncSandbox


def python_toolset(box: AsyncSandbox) -> FunctionToolset[Any]:
    """A toolset that runs code in `box`. Calls that a model makes at once run one after another."""
    toolset: FunctionToolset[Any] = FunctionToolset(id="belljar")
    turn = anyio.Lock()

    @toolset.tool_plain
    async def run_python(code: str) -> ToolReturn:
        """Run Python in a sandbox without network, where numpy, pandas and matplotlib are installed.

        Variables and files stay from one call to the next. Print what you want to read, or end with an expression;
        open matplotlib figures come back as pictures.
        """
        async with turn:
            result = await box.run(code)
        charts = [BinaryContent(image.data, media_type=image.mime_type) for image in result.images]
        return ToolReturn([result.text or "(no output)", *charts], metadata=result)

    return toolset


async def main(model: str | Model, question: str) -> AgentRunResult[str]:
    """Have an agent answer a question."""
    async with AsyncSandbox() as box:
        return await Agent(model, toolsets=[python_toolset(box)]).run(question)


if __name__ == "__main__":
    question = "How many days lie between 1 March 2024 and 1 March 2025?"
    print(anyio.run(main, sys.argv[1], question).output)
