"""What nobody but its owner may read."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
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
async def test_a_store_that_others_could_read_is_closed_with_what_a_killed_server_has_left(
    tmp_path: Path,
) -> None:
    path = tmp_path / "belljar.sqlite3"
    names = [path.with_name(f"{path.name}{beside}") for beside in ("", "-wal", "-shm")]
    dies = (
        "import os, sqlite3, sys\nit = sqlite3.connect(sys.argv[1])\nit.execute('PRAGMA journal_mode=WAL')\n"
    )
    dies += "it.execute('CREATE TABLE a (b)')\nit.commit()\nos.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", dies, str(path)], check=False, timeout=60)
    # As SQLite makes them, whatever the umask lets through.
    assert [mode(name) for name in names] == ["0o644"] * 3
    async with open_store(path):
        assert [mode(name) for name in names] == ["0o600"] * 3


@pytest.mark.anyio
async def test_a_store_that_is_open_keeps_its_locks(tmp_path: Path) -> None:
    """POSIX locks go with any descriptor of the file that is closed."""
    path = tmp_path / "belljar.sqlite3"

    def locks() -> int:
        inodes = {f":{name.stat().st_ino} " for name in tmp_path.iterdir()}
        return sum(
            any(inode in line for inode in inodes) for line in Path("/proc/locks").read_text().splitlines()
        )

    async with open_store(path):
        before = locks()
        assert before
        private.make_file(path)
        assert locks() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="takes a file of somebody else's")
def test_a_file_of_somebody_elses_stays_as_it_is() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # which others can reach
        place, path = Path(name), Path(name) / "shared"
        path.touch()
        os.chown(path, 54321, 54321)
        place.chmod(0o777)
        path.chmod(0o660)
        if (pid := os.fork()) == 0:
            failed = True
            try:
                os.setgroups([54321])
                os.setresuid(54322, 54322, 54322)
                private.make_file(path)
                failed = not os.access(path, os.W_OK)
            finally:
                os._exit(failed)
        assert os.waitpid(pid, 0) == (pid, 0)
        assert mode(path) == "0o660"


@pytest.mark.parametrize("allowed", [0o755, 0o700])
def test_a_server_names_a_state_directory_that_is_open(tmp_path: Path, allowed: int) -> None:
    state = tmp_path / "my state"
    state.mkdir(mode=allowed)
    with capture_logs() as logs, owner.own_place(state):
        assert mode(state) == oct(allowed)
    assert [line.get("mend") for line in logs] == ([f"chmod 700 '{state}'"] if allowed == 0o755 else [])
