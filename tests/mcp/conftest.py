from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from connecting import Keyed, keyed
from serving import serving


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def keyed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A server with three keys: two of one tenant, and one of another."""
    with keyed(tmp_path_factory.mktemp("keyed"), max_body_bytes=4_000_000) as server:
        yield server


@pytest.fixture(scope="session")
def brief_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server without keys, which forgets what was not used for a second."""
    with serving(tmp_path_factory.mktemp("brief"), preload={}, container_idle_seconds=1) as server:
        yield server.url
