"""Belljar as a LangChain tool: the model reads text and charts, the program gets the whole result.

    pip install belljar langchain langchain-openai
    python langchain_tool.py openai:gpt-5-mini

Each call's `ToolMessage` has what the code printed as text, and its charts as image blocks of LangChain's own; its
`artifact` is the `belljar.Result`, with files and usage. Not every chat model takes images in a tool's message: for
one that refuses them pass `with_charts=False`; the artifact has them all the same.
"""

from __future__ import annotations

import base64
import sys
import threading
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages.content import create_image_block, create_text_block
from langchain_core.tools import BaseTool, tool

from belljar import Result, Sandbox


def python_tool(box: Sandbox, *, with_charts: bool = True) -> BaseTool:
    """A tool that runs code in `box`. Calls that a model makes at once run one after another."""
    turn = threading.Lock()

    @tool(response_format="content_and_artifact")
    def run_python(code: str) -> tuple[list[Any], Result]:
        """Run Python in a sandbox without network, where numpy, pandas and matplotlib are installed.

        Variables and files stay from one call to the next. Print what you want to read, or end with an expression;
        open matplotlib figures come back as pictures.
        """
        with turn:
            result = box.run(code)
        content: list[Any] = [create_text_block(result.text or "(no output)")]
        for image in result.images if with_charts else []:
            data = base64.b64encode(image.data).decode()
            content.append(create_image_block(base64=data, mime_type=image.mime_type))
        return content, result

    return run_python


def main(model: str | BaseChatModel, question: str) -> list[Any]:
    """Have an agent answer a question, and return all of its messages."""
    with Sandbox() as box:
        agent = create_agent(model, tools=[python_tool(box)])
        messages: list[Any] = agent.invoke({"messages": [{"role": "user", "content": question}]})["messages"]
        return messages


if __name__ == "__main__":
    print(main(sys.argv[1], "How many days lie between 1 March 2024 and 1 March 2025?")[-1].text)
