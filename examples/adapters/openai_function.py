"""Belljar as a function for OpenAI's two APIs, and for all that speak like them: the definition, and the loop.

    pip install belljar openai
    OPENAI_BASE_URL=http://127.0.0.1:11434/v1 OPENAI_API_KEY=none python openai_function.py qwen3

`complete` speaks chat completions, where a function's answer is text alone: charts follow it in a message of the
user's. `respond` speaks the Responses API, where they are part of the answer itself.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

from openai import OpenAI

from belljar import Result, Sandbox

FUNCTION: dict[str, Any] = {
    "name": "run_python",
    "description": "Run Python in a sandbox without network, where numpy, pandas and matplotlib are installed. "
    "Variables and files stay from one call to the next. Print what you want to read, or end with an expression; "
    "open matplotlib figures come back as pictures.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"code": {"type": "string", "description": "The program."}},
        "required": ["code"],
        "additionalProperties": False,
    },
}
CHAT_TOOL: dict[str, Any] = {"type": "function", "function": FUNCTION}
RESPONSES_TOOL: dict[str, Any] = {"type": "function", **FUNCTION}


def call(box: Sandbox, name: str, arguments: str) -> tuple[str, list[str]]:
    """What a call comes to: its text, and its charts as data URLs. A call that is none is told to the model."""
    if name != FUNCTION["name"]:
        return f"There is no function {name!r}; the one that there is is {FUNCTION['name']!r}.", []
    try:
        code = json.loads(arguments)["code"]
    except (ValueError, KeyError, TypeError):
        code = None
    if not isinstance(code, str):
        return 'The arguments are not as they have to be: {"code": "…"}.', []
    result: Result = box.run(code)
    return result.text or "(no output)", [
        f"data:{image.mime_type};base64,{base64.b64encode(image.data).decode()}" for image in result.images
    ]


def complete(client: OpenAI, model: str, question: str, box: Sandbox, *, turns: int = 20) -> str:
    """An answer by chat completions. Raises RuntimeError where the model calls on and on."""
    messages: list[Any] = [{"role": "user", "content": question}]
    for _ in range(turns):
        answer = client.chat.completions.create(model=model, messages=messages, tools=[CHAT_TOOL])  # type: ignore[list-item]
        message = answer.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            return message.content or ""
        charts: list[str] = []
        for made in message.tool_calls:
            if made.type == "function":
                text, urls = call(box, made.function.name, made.function.arguments)
            else:
                text, urls = call(box, made.custom.name, "")
            messages.append({"role": "tool", "tool_call_id": made.id, "content": text})
            charts += urls
        if charts:  # only once all calls are answered: nothing may stand between them
            parts: list[Any] = [{"type": "text", "text": "The charts that the code has drawn:"}]
            parts += [{"type": "image_url", "image_url": {"url": url}} for url in charts]
            messages.append({"role": "user", "content": parts})
    raise RuntimeError(f"after {turns} turns the model still calls the function")


def respond(client: OpenAI, model: str, question: str, box: Sandbox, *, turns: int = 20) -> str:
    """An answer by the Responses API. Raises RuntimeError where the model calls on and on."""
    items: list[Any] = [{"role": "user", "content": question}]
    for _ in range(turns):
        # Nothing is kept there: all that was said goes along, and reasoning as the bytes that stand for it.
        answer = client.responses.create(
            model=model,
            input=items,
            tools=[RESPONSES_TOOL],  # type: ignore[list-item]
            store=False,
            include=["reasoning.encrypted_content"],
        )
        items += [item.model_dump(exclude_none=True) for item in answer.output]
        calls = [item for item in answer.output if item.type == "function_call"]
        if not calls:
            return answer.output_text
        for made in calls:
            text, urls = call(box, made.name, made.arguments)
            output: list[Any] = [{"type": "input_text", "text": text}]
            output += [{"type": "input_image", "image_url": url} for url in urls]
            items.append({"type": "function_call_output", "call_id": made.call_id, "output": output})
    raise RuntimeError(f"after {turns} turns the model still calls the function")


def main(model: str, question: str, client: OpenAI | None = None) -> str:
    """Have a model answer a question by chat completions, at $OPENAI_BASE_URL."""
    with Sandbox() as box:
        return complete(client or OpenAI(), model, question, box)


if __name__ == "__main__":
    print(main(sys.argv[1], "How many days lie between 1 March 2024 and 1 March 2025?"))
