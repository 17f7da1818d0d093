from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import structlog
from serving import Model, Server, serving


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """Commands that run in this process set up its log."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def the_model() -> Iterator[Model]:
    with Model() as model:
        yield model


@pytest.fixture
def model(the_model: Model) -> Iterator[Model]:
    the_model.play()
    yield the_model
    wrong, the_model.faults = the_model.faults, []  # of this test, and not of all that follow
    assert wrong == []


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, the_model: Model) -> Iterator[Server]:
    """A server whose model is `model`, shared by all tests here."""
    state: Path = tmp_path_factory.mktemp("server")
    with serving(
        state,
        upstream=f"anthropic:{the_model.url}",
        max_body_bytes=2_000_000,
        upstream_api_key="upstream-key",
    ) as server:
        yield server


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def hasty(tmp_path_factory: pytest.TempPathFactory, the_model: Model) -> Iterator[httpx2.Client]:
    """A client of a server that gives code, and who stops sending, one second, callers whose tools it calls two."""
    state: Path = tmp_path_factory.mktemp("hasty")
    with (
        serving(
            state,
            upstream=f"anthropic:{the_model.url}",
            upstream_api_key="upstream-key",
            preload={},
            timeout_seconds=1,
            tool_reply_seconds=2,
            pause_seconds=1,
            body_silence_seconds=1,
        ) as server,
        httpx2.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client
