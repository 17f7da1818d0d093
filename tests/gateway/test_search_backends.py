"""Each backend against a server that speaks the JSON of its engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import Answer, Engine, found
from fakes import settings
from structlog.testing import capture_logs

from belljar.errors import InvalidRequest
from belljar.gateway.search import Found, Place, Query, SearchFailed, domains
from belljar.gateway.search.opening import open_search

pytestmark = pytest.mark.anyio

KEY = "the-key-of-the-engine"
KINDS = ["searxng", "brave", "tavily"]
HERE = Place("San Francisco", "California", "US", "America/Los_Angeles")


@pytest.fixture(scope="module")
def the_engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture
def engine(the_engine: Engine) -> Engine:
    the_engine.play()
    return the_engine


def brave(*pages: dict[str, Any]) -> Answer:
    return Answer(json.dumps({"type": "search", "web": {"type": "search", "results": list(pages)}}).encode())


async def search(engine: Engine, kind: str, text: str = "shares", **more: Any) -> list[Found]:
    lists = domains.read(more.pop("allowed", []), more.pop("blocked", []))
    place = more.pop("place", Place())
    chosen = settings(Path("unused"), search=f"{kind}:{engine.url}", search_key=KEY, **more)
    async with open_search(chosen, "anthropic") as backend:
        assert backend is not None
        assert backend.kind == kind
        return await backend.search(Query(text, lists, place))


async def test_searxng(engine: Engine) -> None:
    page = {
        "url": "https://a.com/1",
        "title": "One",
        "content": "Words",
        "publishedDate": "2026-01-02T00:00:00",
    }
    other = {"url": "https://a.com/2", "title": "", "content": "", "publishedDate": None, "engine": "brave"}
    engine.play(found([page, other, page, {"title": "no url"}, {"url": "ftp://a.com"}, "no page"]))
    assert await search(engine, "searxng", allowed=["a.com", "b.com"], place=HERE) == [
        Found("https://a.com/1", "One", "Words", "2026-01-02T00:00:00"),
        Found("https://a.com/2", "https://a.com/2", ""),
    ]
    (asked,) = engine.asked
    assert asked.path == "/search"
    assert asked.query == {"q": "shares (site:a.com OR site:b.com)", "format": "json"}
    assert KEY not in str(asked)


async def test_searxng_whose_engines_do_not_answer(engine: Engine) -> None:
    engine.play(found([], unresponsive_engines=[["brave", "too many requests"]]), found([]))
    with pytest.raises(SearchFailed) as failure:
        await search(engine, "searxng")
    assert failure.value.error_code == "unavailable"
    assert await search(engine, "searxng") == []


async def test_brave(engine: Engine) -> None:
    page = {
        "title": "Tom &amp; <strong>Jerry</strong>",
        "url": "https://a.com/1",
        "description": "1 &lt; 2 and <strong>more</strong>",
        "extra_snippets": ["Second.", "Third."],
        "page_age": "2026-01-02T03:04:05",
    }
    engine.play(brave(page), Answer(b'{"type": "search"}'))
    assert await search(engine, "brave", blocked=["b.com"], place=HERE) == [
        Found("https://a.com/1", "Tom & Jerry", "1 < 2 and more … Second. … Third.", "2026-01-02T03:04:05")
    ]
    assert await search(engine, "brave", place=Place(city="São Paulo", country="BR")) == []
    first, second = engine.asked
    assert first.path == "/res/v1/web/search"
    assert first.query["q"] == "shares -site:b.com"
    assert first.headers["x-subscription-token"] == KEY
    located = {name: value for name, value in first.headers.items() if name.startswith("x-loc")}
    assert located == {
        "x-loc-city": "San Francisco",
        "x-loc-state-name": "California",
        "x-loc-country": "US",
        "x-loc-timezone": "America/Los_Angeles",
    }
    assert "x-loc-city" not in second.headers  # a header has no room for it
    assert second.headers["x-loc-country"] == "BR"


async def test_tavily(engine: Engine) -> None:
    page = {"title": "One", "url": "https://a.com/1", "content": "Words", "score": 0.9, "raw_content": None}
    engine.play(
        found([page | {"published_date": "Fri, 02 Jan 2026"}], answer=None, response_time=1.1), found([])
    )
    assert await search(engine, "tavily", allowed=["a.com/1"]) == [
        Found("https://a.com/1", "One", "Words", "Fri, 02 Jan 2026")
    ]
    await search(engine, "tavily", blocked=["b.com", "c.com/x"])
    first, second = engine.asked
    assert first.path == "/search"
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.body == {"query": "shares", "max_results": 20, "include_domains": ["a.com"]}
    assert second.body == {"query": "shares", "max_results": 20, "exclude_domains": ["b.com"]}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(b"{}", 400), "invalid_tool_input"),
        (Answer(b"{}", 401), "unavailable"),
        (Answer(b"{}", 403), "unavailable"),
        (Answer(b"{}", 413), "request_too_large"),
        (Answer(b"{}", 414), "request_too_large"),
        (Answer(b"{}", 422), "invalid_tool_input"),
        (Answer(b"{}", 429), "too_many_requests"),
        (Answer(b"{}", 432), "too_many_requests"),
        (Answer(b"{}", 500), "unavailable"),
        (Answer(b"<html>"), "unavailable"),
        (Answer(b"[]"), "unavailable"),
        (Answer(b"[" * 100_000), "unavailable"),
        (Answer(b" " * (8 * 1024 * 1024 + 1)), "unavailable"),
    ],
)
async def test_what_fails(engine: Engine, kind: str, answer: Answer, code: str) -> None:
    """Whatever an engine says of the key, it does not get into a message or the log."""
    if answer.body == b"{}":
        answer = Answer(json.dumps({"detail": f"bad key {KEY}"}).encode(), answer.status)
    engine.play(answer)
    with capture_logs() as logs, pytest.raises(SearchFailed) as failure:
        await search(engine, kind, "a secret query")
    assert failure.value.error_code == code
    (line,) = logs
    assert (line["backend"], line["code"]) == (kind, code)
    assert KEY not in f"{line}{failure.value!r}{failure.value.__cause__!r}"
    assert "secret" not in str(line)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "odd", [b"null", b"7", b'"x"', b"[1, null, [], {}]", b'[{"url": 7}, {"url": "https://"}]']
)
async def test_odd_lists(engine: Engine, kind: str, odd: bytes) -> None:
    engine.play(Answer(b'{"results": %s, "web": {"results": %s}}' % (odd, odd)))
    assert [page.text for page in await search(engine, kind)] in ([], [""])


async def test_half_a_character(engine: Engine) -> None:
    engine.play(
        Answer(rb'{"results": [{"url": "https://a.com/\ud800", "title": "\ud800", "content": "\udfff"}]}')
    )
    assert await search(engine, "searxng") == [Found("https://a.com/?", "?", "?")]


async def test_an_answer_that_drips(engine: Engine) -> None:
    engine.play(Answer(b" " * 1000, drips=True))
    with pytest.raises(SearchFailed, match="in time"):
        await search(engine, "searxng", search_timeout_seconds=0.3)


async def test_nobody_is_there_and_nobody_answers(engine: Engine) -> None:
    async with open_search(
        settings(Path("unused"), search="searxng:http://127.0.0.1:1"), "direct"
    ) as backend:
        assert backend is not None
        with pytest.raises(SearchFailed, match="ConnectError"):
            await backend.search(Query("q", domains.read([], []), Place()))
    release = threading.Event()
    engine.play(Answer(b"{}", until=release))
    try:
        with pytest.raises(SearchFailed, match="in time"):
            await search(engine, "tavily", search_timeout_seconds=0.2)
    finally:
        release.set()


@pytest.mark.parametrize(
    ("kind", "text"),
    [("brave", "x" * 401), ("brave", "x " * 51), ("tavily", "x" * 401)],
)
async def test_a_query_that_is_too_long(engine: Engine, kind: str, text: str) -> None:
    with pytest.raises(SearchFailed) as failure:
        await search(engine, kind, text)
    assert failure.value.error_code == "query_too_long"
    assert not engine.asked


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ("google", "it has to be"),
        ("searxng", "it has to be"),
        ("searxng:example.com", "it has to be"),
        ("brave:example.com", "it has to be"),
        ("searxng:http://127.0.0.1:port", "URL"),
        ("brave", "BRAVE_API_KEY"),
        ("tavily:http://127.0.0.1:1", "TAVILY_API_KEY"),
        ("upstream", "only an `anthropic` upstream"),
    ],
)
async def test_settings_with_which_nothing_starts(
    monkeypatch: pytest.MonkeyPatch, chosen: str, why: str
) -> None:
    for name in ("BRAVE_API_KEY", "TAVILY_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidRequest, match=why):
        async with open_search(settings(Path("unused"), search=chosen), "direct"):
            pass


async def test_a_key_by_the_name_that_its_vendor_gave_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAVE_API_KEY", "from the environment")
    async with open_search(settings(Path("unused"), search=f"brave:{engine.url}"), "direct") as backend:
        assert backend is not None
        await backend.search(Query("q", domains.read([], []), Place()))
    assert engine.asked[0].headers["x-subscription-token"] == "from the environment"


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(settings(Path("unused"), search_key=KEY))
