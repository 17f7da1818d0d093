from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from serving import Model, Server, serving


@pytest.fixture(scope="session")
def the_model() -> Iterator[Model]:
    with Model() as model:
        yield model


@pytest.fixture
def model(the_model: Model) -> Model:
    the_model.play()
    return the_model


@pytest.fixture(scope="session")
def sdk_server(tmp_path_factory: pytest.TempPathFactory, the_model: Model) -> Iterator[Server]:
    """A server whose model is `model`."""
    with serving(tmp_path_factory.mktemp("server"), upstream=f"anthropic:{the_model.url}") as server:
        yield server
