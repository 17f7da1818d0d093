"""What nobody but its owner may read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from belljar import private
from belljar.builds import Runtimes
from belljar.commands import background
from belljar.gateway import owner
from belljar.gateway.store.sqlite import open_store


@pytest.fixture(autouse=True)
def _generous() -> Iterator[None]:
    """Most users' umask, and then none at all would be enough to find what depends on it."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_only_the_directory_itself_is_closed(tmp_path: Path) -> None:
    made = tmp_path / "share" / "belljar"
    private.make_directory(made)
    assert (mode(made), mode(made.parent)) == ("0o700", "0o777")
    assert not private.is_open(made)


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    private.make_directory(tmp_path / "shared")
    assert mode(tmp_path / "shared") == "0o755"
    assert private.is_open(tmp_path / "shared")


@pytest.mark.anyio
async def test_the_state_directory_is_closed_whoever_makes_it(tmp_path: Path) -> None:
    made = [tmp_path / name / "state" for name in ("server", "command", "runtime", "store")]
    with (
        owner.own_place(made[0]),
        background.turn(made[1]),
        Runtimes(made[2] / "runtimes").builder("ml", "made"),
    ):
        pass
    async with open_store(made[3] / "belljar.sqlite3"):
        files = {path.name: mode(path) for path in made[3].iterdir()}
    assert [mode(path) for path in made] == ["0o700"] * 4
    assert {mode(made[0] / "server"), mode(made[1] / "server")} == {"0o700"}
    assert files == dict.fromkeys(files, "0o600")
    assert "belljar.sqlite3-wal" in files


@pytest.mark.anyio
async def test_a_store_that_others_could_read_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "belljar.sqlite3"
    async with open_store(path):
        pass
    path.chmod(0o644)
    async with open_store(path):
        assert mode(path) == "0o600"


@pytest.mark.parametrize("allowed", [0o755, 0o700])
def test_a_server_names_a_state_directory_that_is_open(tmp_path: Path, allowed: int) -> None:
    state = tmp_path / "my state"
    state.mkdir(mode=allowed)
    with capture_logs() as logs, owner.own_place(state):
        assert mode(state) == oct(allowed)
    assert [line.get("mend") for line in logs] == ([f"chmod 700 '{state}'"] if allowed == 0o755 else [])
