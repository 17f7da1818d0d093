"""A keeper's directories of cgroups: whose they are, and what another keeper may delete. In any file system."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from belljar.keeper import claims
from belljar.keeper.claims import Claim

# Claims one directory after the other, and in each makes one as a session would.
_CLAIMS = """
import sys
from pathlib import Path
from belljar.keeper.claims import Claim
sys.stdin.readline()
for _ in range(300):
    claim = Claim(Path(sys.argv[1]))
    for name in ("one", "two"):
        (claim.path / name).mkdir()
    claim.close()
"""


def test_many_keepers_that_start_and_end_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _CLAIMS, str(tmp_path)]
    keepers = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]
    try:
        for keeper in keepers:
            assert keeper.stdin is not None
            keeper.stdin.write(b"\n")
            keeper.stdin.flush()
        for keeper in keepers:
            _, said = keeper.communicate(timeout=100)
            assert (keeper.returncode, said) == (0, b"")
    finally:
        for keeper in keepers:
            keeper.kill()
            keeper.wait()
    Claim(tmp_path).close()  # one that lost a race leaves what it made to the next
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_was_deleted_before_it_was_locked_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another keeper that starts may hold it for left over in the moment between the two."""
    deleted: list[Path] = []

    def flock(fd: int, operation: int) -> None:
        if not deleted:
            deleted.extend(tmp_path.iterdir())
            deleted[0].rmdir()
        fcntl.flock(fd, operation)

    monkeypatch.setattr(claims, "flock", flock)
    claim = Claim(tmp_path)
    assert claim.path != deleted[0]
    assert list(tmp_path.iterdir()) == [claim.path]
    claim.close()


def test_a_directory_is_free_when_whoever_claimed_it_is_gone(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from belljar.keeper.claims import Claim\n"
    code += "print(Claim(Path(sys.argv[1])).path, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        path = Path(keeper.stdout.readline().strip())
        try:
            assert path.parent == tmp_path
            Claim(tmp_path).close()
            assert list(tmp_path.iterdir()) == [path]
        finally:
            keeper.kill()
    Claim(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_named_like_ours_is_left_alone(tmp_path: Path) -> None:
    others = [tmp_path / name for name in ("belljar-service", "belljar-0123456789abc", "0123456789ab", "x")]
    left_over = tmp_path / "belljar-0123456789ab"
    for path in (*others, left_over):
        path.mkdir()
    Claim(tmp_path).close()
    assert set(tmp_path.iterdir()) == set(others)


@pytest.mark.parametrize(("looks", "is_left"), [(2, True), (3, False)])
def test_a_directory_is_looked_at_until_the_kernel_lets_go_of_it(
    looks: int,
    is_left: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    claim, busy = Claim(tmp_path), iter([True, True])

    def remove(path: Path) -> None:
        if next(busy, False):
            raise OSError(errno.EBUSY, "a process is in it")
        path.rmdir()

    monkeypatch.setattr(claims, "remove", remove)
    monkeypatch.setattr(claims, "CLOSE_LOOKS", looks)
    claim.close()
    assert claim.path.exists() == is_left
    assert ("the kernel does not let go" in capfd.readouterr().err) == is_left


def test_a_directory_that_cannot_be_deleted_is_left_to_the_next(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    claim = Claim(tmp_path)
    (claim.path / "file").touch()
    claim.close()
    assert "the next keeper will delete" in capfd.readouterr().err
    Claim(tmp_path).close()  # it keeps nobody from starting
    assert list(tmp_path.iterdir()) == [claim.path]
    (claim.path / "file").unlink()
    Claim(tmp_path).close()
    assert list(tmp_path.iterdir()) == []
