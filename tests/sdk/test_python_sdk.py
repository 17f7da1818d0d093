"""The official Python SDK, unmodified, is the judge."""

from __future__ import annotations

import json
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
from serving import TOOL, BreakOff, Model, Refusal, Server, code, serving, text, thinking

BETA = ["code-execution-2025-05-22"]
CHART = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('drawn')"
PROMPT: Any = [{"role": "user", "content": "Go."}]


@pytest.fixture
def client(sdk_server: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=sdk_server.url, api_key="mine", max_retries=0, timeout=60) as client:
        yield client


def create(client: anthropic.Anthropic, messages: Any = None, **more: Any) -> Any:
    messages = messages if messages is not None else PROMPT
    return client.messages.create(model="m", max_tokens=1000, tools=[TOOL], messages=messages, **more)


def printed(content: Any) -> list[str]:
    """The loop that tutorials teach."""
    lines = []
    for block in content:
        if hasattr(block, "text"):
            lines.append(block.text)
        elif block.type == "code_execution_result":
            if block.output.type == "image":
                lines.append("[Chart generated]")
            else:
                lines.append("Result: " + block.output.text)
    return lines


def test_the_loop_that_tutorials_teach(client: anthropic.Anthropic, model: Model) -> None:
    model.play([thinking("I will draw."), code(CHART)], [code("1 / 0", "toolu_02")], [text("Drawn.")])
    response = create(client)
    lines = printed(response.content)
    assert lines[:3] == ["I will draw.", "Result: drawn", "[Chart generated]"]
    assert lines[3].startswith("Error: Traceback")
    assert lines[4:] == ["Drawn."]
    assert response._request_id.startswith("req_")
    image = next(block for block in response.content if getattr(block, "output", {}).get("type") == "image")
    assert image.output["media_type"] == "image/png"
    use = next(block for block in response.content if block.type == "server_tool_use")
    assert use.input["code"] == CHART


def test_the_answer_goes_back_as_history(client: anthropic.Anthropic, model: Model) -> None:
    model.play([thinking("hm"), code("x = 6")], [text("Set.")])
    first = create(client)
    model.play([code("print(x * 7)")], [text("42.")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the SDK's own, for blocks that it has no type for
        second = create(
            client,
            [*PROMPT, {"role": "assistant", "content": first.content}, {"role": "user", "content": "And?"}],
            container=first.container.id,
        )
    assert printed(second.content) == ["Result: 42", "42."]
    assert second.container.id == first.container.id
    sent = model.requests[0]["messages"]
    assert sent[1]["content"][0] == thinking("hm")
    assert sent[2]["content"][0]["type"] == "tool_result"


def test_the_official_blocks(client: anthropic.Anthropic, model: Model) -> None:
    model.play([code(CHART + "\nopen('t.csv', 'w').write('a\\n')")], [text("Drawn.")])
    response = client.beta.messages.create(
        model="m",
        max_tokens=1000,
        tools=[TOOL],
        messages=PROMPT,
        betas=BETA,  # type: ignore[list-item]
    )
    use, result, _ = response.content
    assert isinstance(use, anthropic.types.beta.BetaServerToolUseBlock)
    assert isinstance(result, anthropic.types.beta.BetaCodeExecutionToolResultBlock)
    assert result.tool_use_id == use.id
    content = result.content
    assert isinstance(content, anthropic.types.beta.BetaCodeExecutionResultBlock)
    assert (content.stdout, content.return_code) == ("drawn\n", 0)
    files = [client.beta.files.retrieve_metadata(output.file_id) for output in content.content]
    assert [(file.filename, file.mime_type) for file in files] == [
        ("figure-1.png", "image/png"),
        ("t.csv", "text/csv"),
    ]
    assert files[0].created_at < files[0].expires_at  # type: ignore[operator]
    assert client.beta.files.download(files[1].id).read() == b"a\n"
    assert client.beta.files.download(files[0].id).read().startswith(b"\x89PNG")
    client.beta.files.delete(files[1].id)
    with pytest.raises(anthropic.NotFoundError):
        client.beta.files.retrieve_metadata(files[1].id)


@pytest.mark.parametrize("betas", [BETA, []])
def test_the_stream_helper(client: anthropic.Anthropic, model: Model, betas: list[str]) -> None:
    model.play([thinking("hm"), text("See."), code("print(7)")], [text("Se"), text("ven.")])
    with client.beta.messages.stream(
        model="m",
        max_tokens=1000,
        tools=[TOOL],
        messages=PROMPT,
        betas=betas,  # type: ignore[list-item]
    ) as stream:
        words = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert words == "See.Seven."
    assert [block.type for block in message.content][:3] == ["thinking", "text", "server_tool_use"]
    assert message.content[2].input == {"code": "print(7)"}  # type: ignore[union-attr]
    assert message.stop_reason == "end_turn"
    assert message.container is not None
    assert message.container.id.startswith("container_")
    assert message.usage.output_tokens == 20
    if not betas:
        assert "Result: 7" in printed(message.content)


def test_a_client_tool(client: anthropic.Anthropic, model: Model) -> None:
    weather: Any = {"name": "weather", "input_schema": {"type": "object"}}
    theirs = {"type": "tool_use", "id": "toolu_02", "name": "weather", "input": {"city": "Oslo"}}
    model.play([code("print('ran')"), theirs], [text("Fine.")])
    tools: Any = [TOOL, weather]
    headers = {"anthropic-beta": BETA[0]}
    first = client.messages.create(
        model="m", max_tokens=9, tools=tools, messages=PROMPT, extra_headers=headers
    )
    assert first.stop_reason == "tool_use"
    use = first.content[1]
    assert isinstance(use, anthropic.types.ToolUseBlock)
    answer: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}
    history: Any = [
        *PROMPT,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [answer]},
    ]
    second = client.messages.create(
        model="m", max_tokens=9, tools=tools, messages=history, extra_headers=headers
    )
    assert [block.type for block in second.content] == ["code_execution_tool_result", "text"]


def test_the_tool_runner(client: anthropic.Anthropic, model: Model) -> None:
    @anthropic.beta_tool
    def weather(city: str) -> str:
        """The weather.

        Args:
            city: Where.
        """
        return f"sunny in {city}"

    theirs = {"type": "tool_use", "id": "toolu_02", "name": "weather", "input": {"city": "Oslo"}}
    model.play([code("print('ran')"), theirs], [text("Fine.")])
    runner = client.beta.messages.tool_runner(
        model="m",
        max_tokens=1000,
        tools=[TOOL, weather],
        messages=PROMPT,
        betas=BETA,  # type: ignore[list-item]
    )
    final = runner.until_done()
    assert [block.type for block in final.content] == ["code_execution_tool_result", "text"]
    assert "sunny in Oslo" in json.dumps(model.requests[-1])


def test_bad_input(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="container_x") as missing:
        create(client, container="container_x")
    assert missing.value.request_id is not None
    with pytest.raises(anthropic.BadRequestError, match="code_execution_20250522"):
        client.messages.create(
            model="m",
            max_tokens=1,
            tools=[{"type": "code_execution_20991231", "name": "code_execution"}],  # type: ignore[list-item]
            messages=PROMPT,
        )
    with pytest.raises(anthropic.BadRequestError, match="container: Input should be a valid string"):
        create(client, container={"id": "container_x"})


def test_upstreams_that_fail(client: anthropic.Anthropic, model: Model) -> None:
    limited = json.dumps(
        {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    ).encode()
    model.play(Refusal(429, limited))
    with pytest.raises(anthropic.RateLimitError, match="slow down"):
        create(client)
    model.play(BreakOff([text("one two three four five")], 4))
    with pytest.raises(anthropic.InternalServerError, match="broke off"):
        create(client)
    model.play(BreakOff([text("one two three four five")], 4))
    with (
        pytest.raises(anthropic.APIStatusError, match="broke off"),
        client.messages.stream(model="m", max_tokens=9, tools=[TOOL], messages=PROMPT) as stream,
    ):
        stream.get_final_message()


def test_code_is_not_run_twice_by_a_retry(sdk_server: Server, model: Model) -> None:
    overloaded = json.dumps(
        {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}
    ).encode()
    model.play([code("print(1)")], Refusal(529, overloaded), [text("too late")])
    with (
        anthropic.Anthropic(base_url=sdk_server.url, api_key="mine", max_retries=2) as client,
        pytest.raises(anthropic.APIStatusError, match="later"),
    ):
        create(client)
    assert len(model.requests) == 2


def test_an_upstream_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with (
            serving(tmp_path, upstream=f"anthropic:{url}", preload={}) as server,
            anthropic.Anthropic(base_url=server.url, api_key="mine", max_retries=0) as client,
            pytest.raises(anthropic.InternalServerError, match=url),
        ):
            create(client)


def test_the_callers_key_where_the_server_has_none(client: anthropic.Anthropic, model: Model) -> None:
    model.play([text("Hi.")])
    create(client)
    assert model.headers[0]["x-api-key"] == "mine"


def test_without_a_model(tmp_path: Path) -> None:
    with (
        serving(tmp_path, upstream="direct", preload={}) as server,
        anthropic.Anthropic(base_url=server.url, api_key="mine") as client,
    ):
        told = create(client)
        assert "--upstream anthropic:" in told.content[0].text
        ran = create(client, [{"role": "user", "content": "```python\nprint(6 * 7)\n```"}])
        assert printed(ran.content) == ["Result: 42", "42"]
