"""A session's files seen from outside: whatever the session puts there, only its own regular files come out."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from belljar.keeper import collector
from belljar.keeper.collector import Seen


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """The working directory below a session's files directory."""
    work = tmp_path / "files" / "work"
    work.mkdir(parents=True)
    return work


@pytest.fixture
def files_fd(top: Path) -> Iterator[int]:
    fd = os.open(top.parent, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("the machine's own")
    return path


def look(files_fd: int) -> collector.Listing:
    return collector.look(files_fd, b"work")


def write(files_fd: int, path: bytes, data: bytes, *, append: bool = False) -> None:
    collector.write(files_fd, path, data, append=append, owner=os.geteuid())


def test_regular_files_are_seen_in_the_order_of_their_names(top: Path, files_fd: int) -> None:
    (top / "sub").mkdir()
    (top / "b.txt").write_text("bb")
    (top / "a.txt").write_text("a")
    (top / "sub" / "c.txt").write_text("ccc")
    (top / "empty").mkdir()
    seen = look(files_fd)
    assert [(path, file.size_bytes) for path, file in seen.items()] == [
        (b"work/a.txt", 1),
        (b"work/b.txt", 2),
        (b"work/sub/c.txt", 3),
    ]


def test_build_litter_is_left_out(top: Path, files_fd: int) -> None:
    for name in ("__pycache__", ".ipynb_checkpoints"):
        (top / name).mkdir()
        (top / name / "x.pyc").write_text("x")
    assert look(files_fd) == {}


def test_what_is_no_regular_file_is_not_seen(top: Path, files_fd: int, secret: Path) -> None:
    (top / "link").symlink_to(secret)
    (top / "folder").symlink_to(secret.parent)
    (top / "loop").symlink_to("loop")
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as sock, chdir(top):  # a socket's name is short
        sock.bind("socket")
    assert look(files_fd) == {}


def test_a_directory_that_has_become_a_link_is_not_followed(
    top: Path, files_fd: int, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "sub").mkdir()
    (top / "sub" / "x").write_text("x")
    real = collector.kernel.openat2

    def swapped(directory: int, path: bytes, flags: int, mode: int = 0) -> int:
        if path == b"work/sub" and not (top / "sub").is_symlink():
            (top / "sub").rename(top / "gone")
            (top / "sub").symlink_to(secret.parent)
        return real(directory, path, flags, mode)

    monkeypatch.setattr(collector.kernel, "openat2", swapped)
    assert all(b"secret" not in path for path in look(files_fd))


def test_names_are_bytes_and_stay_so(top: Path, files_fd: int) -> None:
    names = [b"new\nline", b"\xff\xfe", "é".encode(), b"-rf", b"a b", b"\x1b[31m"]
    for name in names:
        (Path(os.fsdecode(bytes(top) + b"/" + name))).write_text("x")
    assert sorted(look(files_fd)) == sorted(b"work/" + name for name in names)


def test_depth_is_bounded(top: Path, files_fd: int) -> None:
    at = top
    for number in range(collector.MAX_DEPTH + 3):
        (at / f"at-{number}").write_text("x")
        at /= "d"
        at.mkdir()
    assert len(look(files_fd)) == collector.MAX_DEPTH + 1


def test_the_number_of_entries_is_bounded(top: Path, files_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "MAX_ENTRIES", 50)
    for number in range(30):
        (top / f"d{number:02}").mkdir()
        for file in range(3):
            (top / f"d{number:02}" / f"f{file}").write_text("x")
    assert len(look(files_fd)) == 20
    for number in range(100):
        (top / f"f{number:03}").write_text("x")
    assert len(look(files_fd)) <= 50


def test_the_text_of_all_paths_is_bounded(top: Path, files_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "MAX_PATHS_BYTES", 5000)
    for number in range(30):
        at = top / f"{number:02}" / ("d" * 250)
        at.mkdir(parents=True)
        for file in range(3):
            (at / f"{file}{'f' * 200}").write_text("x")
    seen = look(files_fd)
    assert 5 < len(seen) < 12
    assert sum(map(len, seen)) <= 5000


def test_the_first_top_takes_its_share_of_the_budget_first(
    top: Path, files_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MAX_ENTRIES", 10)
    (top.parent / "output").mkdir()
    for number in range(8):
        (top / f"{number}").write_text("x")
        (top.parent / "output" / f"{number}").write_text("x")
    found = [path.split(b"/")[0] for path in collector.look(files_fd, b"output", b"work")]
    assert found == [b"output"] * 8 + [b"work"] * 2
    found = [path.split(b"/")[0] for path in collector.look(files_fd, b"work", b"output")]
    assert found == [b"output"] * 2 + [b"work"] * 8


def test_a_path_that_cannot_be_opened_is_not_seen(top: Path, files_fd: int) -> None:
    fd = os.open(top, os.O_RDONLY)
    for _ in range(collector.MAX_DEPTH):
        os.mkdir("d" * 255, dir_fd=fd)
        below = os.open("d" * 255, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
        os.close(os.open("x" * 200, os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    listing = look(files_fd)
    assert len(listing) == 15
    for path, seen in listing.items():
        assert collector.read(files_fd, path, seen, 0, 1) == b""


def test_a_top_that_is_gone_or_a_link_holds_nothing(top: Path, files_fd: int, secret: Path) -> None:
    top.rmdir()
    assert look(files_fd) == {}
    top.symlink_to(secret.parent)
    assert look(files_fd) == {}


def test_changed_is_what_is_new_or_different(top: Path, files_fd: int) -> None:
    for name in ("same", "grown", "rewritten", "replaced", "removed"):
        (top / name).write_text("12345")
    before = look(files_fd)
    (top / "grown").write_text("123456")
    (top / "rewritten").write_text("54321")
    (top / "other").write_text("12345")
    (top / "other").rename(top / "replaced")
    (top / "removed").unlink()
    (top / "new").write_text("")
    changed = [path for path, _ in collector.changed(before, look(files_fd))]
    assert changed == [b"work/grown", b"work/new", b"work/replaced", b"work/rewritten"]


def test_a_change_that_sets_the_times_back_is_seen(top: Path, files_fd: int) -> None:
    path = top / "a"
    path.write_text("12345")
    status, before = path.stat(), look(files_fd)
    path.write_text("54321")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [path for path, _ in collector.changed(before, look(files_fd))] == [b"work/a"]


# -- read --------------------------------------------------------------------------------------------------


def test_a_file_is_read_in_parts(top: Path, files_fd: int) -> None:
    (top / "a").write_bytes(b"0123456789")
    seen = look(files_fd)[b"work/a"]
    parts = [collector.read(files_fd, b"work/a", seen, offset, 4) for offset in (0, 4, 8, 12)]
    assert parts == [b"0123", b"4567", b"89", b""]


def test_no_more_is_read_than_there_was(top: Path, files_fd: int) -> None:
    (top / "a").write_bytes(b"12345")
    seen = look(files_fd)[b"work/a"]
    (top / "a").write_bytes(b"1234567890")
    assert collector.read(files_fd, b"work/a", seen, 0, 100) == b"12345"
    (top / "a").write_bytes(b"1")
    assert collector.read(files_fd, b"work/a", seen, 0, 100) == b"1"


def test_another_file_of_the_name_is_not_read(top: Path, files_fd: int, secret: Path) -> None:
    (top / "a").write_text("mine")
    seen = look(files_fd)[b"work/a"]
    (top / "b").write_text("another")
    (top / "b").rename(top / "a")
    with pytest.raises(FileNotFoundError):
        collector.read(files_fd, b"work/a", seen, 0, 100)
    (top / "a").unlink()
    with pytest.raises(FileNotFoundError):
        collector.read(files_fd, b"work/a", seen, 0, 100)
    (top / "a").symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        collector.read(files_fd, b"work/a", seen, 0, 100)


@pytest.mark.parametrize(
    "path", [b"../secret.txt", b"work/../../secret.txt", b"/etc/passwd", b"work/link/secret.txt"]
)
def test_no_path_leads_out(top: Path, files_fd: int, secret: Path, path: bytes) -> None:
    (top / "link").symlink_to(secret.parent)
    status = secret.stat()
    with pytest.raises(OSError):
        collector.read(files_fd, path, Seen(status.st_ino, 100, 0), 0, 100)


def test_a_fifo_of_the_name_does_not_block(top: Path, files_fd: int) -> None:
    (top / "a").write_text("x")
    seen = look(files_fd)[b"work/a"]
    (top / "a").unlink()
    os.mkfifo(top / "a")
    with pytest.raises(FileNotFoundError):
        collector.read(files_fd, b"work/a", seen, 0, 100)


# -- write -------------------------------------------------------------------------------------------------


def test_a_file_is_written_in_pieces(top: Path, files_fd: int) -> None:
    write(files_fd, b"work/a", b"one ")
    write(files_fd, b"work/a", b"two", append=True)
    assert (top / "a").read_bytes() == b"one two"
    write(files_fd, b"work/a", b"new")
    assert (top / "a").read_bytes() == b"new"
    assert (top / "a").stat().st_mode & 0o777 == 0o644


def test_a_link_is_replaced_and_not_written_through(top: Path, files_fd: int, secret: Path) -> None:
    (top / "a").symlink_to(secret)
    write(files_fd, b"work/a", b"new")
    assert secret.read_text() == "the machine's own"
    assert (top / "a").read_bytes() == b"new"
    assert not (top / "a").is_symlink()


def test_a_hard_link_is_replaced_and_not_written_through(top: Path, files_fd: int) -> None:
    (top / "other").write_text("other")
    os.link(top / "other", top / "a")
    write(files_fd, b"work/a", b"new")
    assert (top / "other").read_text() == "other"


def test_the_next_piece_does_not_follow_a_link(top: Path, files_fd: int, secret: Path) -> None:
    write(files_fd, b"work/a", b"one")
    (top / "a").unlink()
    (top / "a").symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        write(files_fd, b"work/a", b"two", append=True)
    assert secret.read_text() == "the machine's own"


def test_the_next_piece_does_not_go_into_a_fifo(top: Path, files_fd: int) -> None:
    os.mkfifo(top / "a")
    reader = os.open(top / "a", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(FileExistsError):
            write(files_fd, b"work/a", b"two", append=True)
        assert os.read(reader, 10) == b""
    finally:
        os.close(reader)


def test_a_working_directory_that_became_a_link_is_not_written_into(
    top: Path, files_fd: int, secret: Path
) -> None:
    top.rmdir()
    top.symlink_to(secret.parent)
    with pytest.raises(OSError, match="symbolic links"):
        write(files_fd, b"work/secret.txt", b"new")
    assert secret.read_text() == "the machine's own"
