"""The official Python SDK reads searches as it reads those of the hosted API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import types
from engines import PAGES, SEARCH, Answer, Engine, search
from serving import Events, Model, code, serving, text

TOOLS: Any = [{"type": "code_execution_20260120", "name": "code_execution"}, SEARCH]
PROMPT: Any = [{"role": "user", "content": "Search, then compute."}]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, the_model: Model, engine: Engine
) -> Iterator[anthropic.Anthropic]:
    with (
        serving(
            tmp_path_factory.mktemp("searching"),
            upstream=f"anthropic:{the_model.url}",
            search=f"searxng:{engine.url}",
            search_citations="on",
            preload={},
        ) as server,
        anthropic.Anthropic(base_url=server.url, api_key="mine", max_retries=0, timeout=60) as client,
    ):
        yield client


def cited() -> Events:
    """The model cites the second page."""
    citation = {
        "type": "search_result_location",
        "search_result_index": 1,
        "source": PAGES[1]["url"],
        "title": PAGES[1]["title"],
        "start_block_index": 0,
        "end_block_index": 1,
        "cited_text": PAGES[1]["content"],
    }
    return Events(
        [
            {
                "type": "message_start",
                "message": {"id": "m", "model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}},
            },
            {"type": "content_block_start", "index": 0, "content_block": text("") | {"citations": []}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "B leads."}},
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "citations_delta", "citation": citation},
            },
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
            {"type": "message_stop"},
        ]
    )


@pytest.mark.parametrize("is_streamed", [False, True])
def test_blocks_and_citations(client: anthropic.Anthropic, model: Model, is_streamed: bool) -> None:
    model.play([search("prices")], [code("print(20)")], cited())
    asked: Any = {"model": "m", "max_tokens": 1000, "tools": TOOLS, "messages": PROMPT}
    if is_streamed:
        with client.messages.stream(**asked) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.create(**asked)
    use, result, _, ran, last = message.content
    assert isinstance(use, types.ServerToolUseBlock)
    assert (use.name, use.input) == ("web_search", {"query": "prices"})
    assert isinstance(result, types.WebSearchToolResultBlock)
    assert isinstance(result.content, list)
    assert all(isinstance(page, types.WebSearchResultBlock) for page in result.content)
    assert [page.url for page in result.content] == [page["url"] for page in PAGES]
    assert isinstance(ran, types.CodeExecutionToolResultBlock)
    assert isinstance(last, types.TextBlock)
    (citation,) = last.citations or []
    assert isinstance(citation, types.CitationsWebSearchResultLocation)
    assert (citation.url, citation.cited_text) == (PAGES[1]["url"], PAGES[1]["content"])
    assert message.usage.server_tool_use is not None
    assert message.usage.server_tool_use.web_search_requests == 1

    model.play([text("Twenty.")])
    history: Any = [
        *PROMPT,
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": "So?"},
    ]
    client.messages.create(model="m", max_tokens=1000, tools=TOOLS, messages=history)
    sent = model.requests[0]["messages"]
    assert sent[2]["content"][0]["content"][1]["source"] == PAGES[1]["url"]
    assert sent[-2]["content"] == [text("B leads.")]


def test_an_error(client: anthropic.Anthropic, model: Model, engine: Engine) -> None:
    engine.play(Answer(b"{}", 429))
    model.play([search("prices")], [text("Not now.")])
    message = client.messages.create(model="m", max_tokens=1000, tools=TOOLS, messages=PROMPT)
    result = message.content[1]
    assert isinstance(result, types.WebSearchToolResultBlock)
    assert isinstance(result.content, types.WebSearchToolResultError)
    assert result.content.error_code == "too_many_requests"


def test_a_search_by_code(client: anthropic.Anthropic, model: Model) -> None:
    tool = {
        "type": "web_search_20260318",
        "name": "web_search",
        "allowed_callers": ["code_execution_20260120"],
    }
    tools: Any = [TOOLS[0], tool]
    model.play([code("print(len(await web_search({'query': 'a'})))")], [text("Done.")])
    message = client.messages.create(model="m", max_tokens=1000, tools=tools, messages=PROMPT)
    use, result = message.content[1:3]
    assert isinstance(use, types.ServerToolUseBlock)
    assert isinstance(result, types.WebSearchToolResultBlock)
    for block in (use, result):
        assert isinstance(block.caller, types.ServerToolCaller20260120)
        assert block.caller.tool_id == message.content[0].id  # type: ignore[union-attr]
