from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typed import SMALL, Command


@pytest.fixture
def belljar(tmp_path: Path) -> Iterator[Command]:
    """With a state directory of its own; a server that is left there is ended."""
    (tmp_path / "here").mkdir()
    command = Command(tmp_path / "state", tmp_path / "here")
    yield command
    seen = command("down")
    assert seen.returncode == 0, seen.stderr


@pytest.fixture(scope="session")
def warm_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory of a server that is up, for all tests here."""
    state = tmp_path_factory.mktemp("warm")
    command = Command(state, state)
    seen = command("up", **SMALL)
    assert seen.returncode == 0, seen.stderr
    yield state
    command("down")


@pytest.fixture
def warm(warm_state: Path, tmp_path: Path) -> Command:
    """With that server."""
    (tmp_path / "here").mkdir()
    return Command(warm_state, tmp_path / "here")
