"""Each layer of the jail once more, for sessions of a runtime that was built."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from pathlib import Path

import jail
import pytest
import wheels
from test_layers import *  # noqa: F403 - the tests are those of the default runtime

from belljar import link

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def started(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[jail.Started]:
    """A keeper whose sessions have a runtime of their own, unless they say otherwise."""
    state: Path = tmp_path_factory.mktemp("state")
    folder = wheels.make(tmp_path_factory.mktemp("wheels"))
    wheels.build(state, folder, "own", ["bell_fine"], "--preload", "bell_fine")
    async with jail.started(state_dir=state) as here:
        here.keeper.open = functools.partial(here.keeper.open, runtime="own")  # type: ignore[method-assign]
        yield here


async def test_it_is_the_runtime_that_was_built(keeper: link.Keeper) -> None:
    async with jail.opened(keeper) as session:
        assert await session.says("import bell_fine; print(bell_fine.ANSWER)") == "fine two"
        assert set(keeper.runtimes) == {"own"}
