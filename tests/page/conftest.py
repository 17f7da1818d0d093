"""The page in Debian's Chromium, against a real server whose model says what a test tells it to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from browsing import ARGUMENTS, CHROMIUM, WATCH, Open, Watched
from serving import Model, Server, serving, told

from belljar.gateway.page import FOLDER


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser there is nothing to test with, and without the page nothing to test."""
    reason = ""
    if CHROMIUM is None:
        reason = "Chromium is not installed: apt-get install chromium"
    elif not (FOLDER / "index.html").is_file():
        reason = "the page was not built: make page"
    for item in items:
        if reason and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def the_model() -> Iterator[Model]:
    """Lists its models from the first test on, also where nobody plays: the server remembers them for a while."""
    with Model() as model:
        _play(model)
        yield model


@pytest.fixture
def model(the_model: Model) -> Model:
    _play(the_model)
    return the_model


def _play(model: Model) -> None:
    def turn(path: str, body: dict[str, Any] | None) -> Any:
        if body is None:
            return _models()
        return model.turns.popleft()

    model.plays = turn
    model.play()


def _models() -> Any:
    return told({"data": [{"id": "model-1"}, {"id": "model-2"}], "has_more": False})


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, the_model: Model) -> Iterator[Server]:
    state = tmp_path_factory.mktemp("page")
    with serving(state, upstream=f"anthropic:{the_model.url}", upstream_api_key="upstream-key") as server:
        yield server


@pytest.fixture
def http(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=60) as client:
        yield client


# Not for the whole session: while it is open an event loop counts as running in this thread, and no other can.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any, server: Server) -> Iterator[Open]:
    """Opens the page, and fails the test where it asks another server, breaks its policy or throws."""
    opened = []

    def open_page(
        path: str = "/",
        *,
        at: str = server.url,
        width: int = 1280,
        height: int = 860,
        dark: bool = False,
        expected: tuple[str, ...] = (),
        below: str = "",
        **options: Any,
    ) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            accept_downloads=True,
            **options,
        )
        context.set_default_timeout(20_000)
        context.add_init_script(WATCH)
        if below:

            def passed_on(route: Any) -> None:
                """As a proxy does that has the server below a path, and others beside it."""
                asked = urlsplit(route.request.url)
                if asked.path.startswith(f"{below}/"):
                    route.continue_(url=at + route.request.url.removeprefix(at + below))
                else:
                    route.abort()

            context.route(f"{at}/**", passed_on)
        page = context.new_page()
        watched = Watched(at)
        watched.expected = expected
        page.on("request", watched.request)
        page.on("console", watched.console)
        page.on("pageerror", lambda error: watched.errors.append(str(error)))
        opened.append((context, watched))
        page.goto(at + below + path)
        page.wait_for_selector("header.head")
        return page

    yield open_page
    for context, watched in opened:
        context.close()
        assert watched.outside == []
        assert watched.errors == []
