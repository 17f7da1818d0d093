"""A session's files as an archive, and back: whatever the session puts there, only its own comes along."""

from __future__ import annotations

import os
import random
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest

from belljar.errors import NotKept
from belljar.frames import Message, encode
from belljar.keeper import archive, disk
from belljar.keeper.archive import Packer, Unpacker

SECRET = b"the machine's own"
DISK = 64 * 2**20


class Place:
    """A session's directories."""

    def __init__(self, directory: Path) -> None:
        self.work, self.temporary = directory / "files" / "work", directory / "tmp"
        self.work.mkdir(parents=True)
        self.temporary.mkdir()
        self.files_fd = os.open(self.work.parent, os.O_RDONLY | os.O_DIRECTORY)
        self.temporary_fd = os.open(self.temporary, os.O_RDONLY | os.O_DIRECTORY)

    @property
    def tops(self) -> archive.Tops:
        work, inputs = (self.files_fd, b"work"), (self.files_fd, b"input")
        return {b"work": work, b"input": inputs, b"tmp": (self.temporary_fd, b".")}

    def packed(self, disk_bytes: int = DISK, entries: int = 10_000) -> bytes:
        packer = Packer(self.tops, disk_bytes, entries)
        try:
            return b"".join(iter(packer.piece, b""))
        finally:
            packer.close()

    def unpack(self, data: bytes, step: int = 2**20) -> None:
        unpacker = Unpacker(self.tops, DISK)
        try:
            for start in range(0, len(data), step):
                unpacker.feed(data[start : start + step])
            assert unpacker.is_complete
        finally:
            unpacker.close()


@contextmanager
def placed(directory: Path) -> Iterator[Place]:
    place = Place(directory)
    try:
        yield place
    finally:
        os.close(place.files_fd)
        os.close(place.temporary_fd)
        disk.remove_tree(directory)  # which pytest could not: too deep for it


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Place]:
    with placed(tmp_path / "old") as place:
        yield place


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Place]:
    with placed(tmp_path / "new") as place:
        yield place


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "host" / "secret.txt"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    return path


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def tree(top: Path) -> dict[bytes, tuple[object, ...]]:
    """Everything that lies below `top`, and itself: what it is, its mode, its time and its content."""
    found: dict[bytes, tuple[object, ...]] = {}
    for directory, directories, files in os.walk(os.fsencode(top)):
        for name in [b".", *directories, *files]:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                content: object = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            else:
                content = None
            where = os.path.relpath(path, os.fsencode(top))
            found[where] = (status.st_mode, status.st_mtime_ns, content)
    return found


@pytest.mark.parametrize("step", [1, 7, 2**20])
def test_there_and_back(old: Place, new: Place, step: int) -> None:
    work = os.fsencode(old.work)
    for name in (b"a.txt", "größe 猫.txt".encode(), b"\xff\xfe\n", b"-rf", b"a" * 255, b"...", b"b\\c"):
        (old.work / os.fsdecode(name)).write_bytes(name * 3)
    (old.work / "binary").write_bytes(random.Random(1).randbytes(700_000 if step > 7 else 999))
    (old.work / "empty").write_bytes(b"")
    os.makedirs(old.work / "deep" / "er" / "est")
    (old.work / "deep" / "er" / "x").write_bytes(b"x")
    (old.work / "nothing in it").mkdir(0o750)
    os.symlink(b"/etc/passwd", work + b"/absolute")
    os.symlink(b"../../\xff", work + b"/dangling")
    os.symlink(b"deep", work + b"/folder")
    (old.work / "run.sh").write_bytes(b"#!/bin/sh")
    (old.work / "run.sh").chmod(0o755)
    (old.work / "shut").mkdir()
    (old.work / "shut" / "in").write_bytes(b"in")
    (old.work / "shut" / "in").chmod(0)
    (old.temporary / "cache").mkdir()
    (old.temporary / "cache" / "y").write_bytes(b"y")
    os.makedirs(old.work.parent / "input")
    (old.work.parent / "input" / "given.csv").write_bytes(b"1,2")
    os.utime(old.work / "a.txt", ns=(1, 1_234_567_890_123_456_789))
    os.utime(old.work / "empty", ns=(1, -5))
    os.utime(work + b"/dangling", ns=(1, 77), follow_symlinks=False)
    (old.work / "shut").chmod(0)
    before = descriptors()
    new.unpack(old.packed(), step)
    assert descriptors() == before
    for place in (old, new):
        assert stat.S_IMODE((place.work / "shut").stat().st_mode) == 0
        (place.work / "shut").chmod(0o700)
        assert stat.S_IMODE((place.work / "shut" / "in").stat().st_mode) == 0
        (place.work / "shut" / "in").chmod(0o600)
    assert tree(new.work.parent / "input") == tree(old.work.parent / "input")
    assert tree(new.temporary) == tree(old.temporary)
    assert tree(new.work) == tree(old.work)


def test_what_is_no_file_is_left_out(old: Place, new: Place, secret: Path) -> None:
    os.mkfifo(old.work / "fifo")
    with socket.socket(socket.AF_UNIX) as sock, chdir(old.work):  # a socket's name is short
        sock.bind("socket")
    (old.work / "folder").symlink_to(secret.parent)
    (old.work / ".belljar-half").write_bytes(b"on its way in")
    (old.work / "setuid").write_bytes(b"x")
    (old.work / "setuid").chmod(0o6755)
    data = old.packed()
    assert SECRET not in data
    new.unpack(data)
    assert sorted(os.listdir(new.work)) == ["folder", "setuid"]
    assert os.readlink(new.work / "folder") == str(secret.parent)
    assert stat.S_IMODE((new.work / "setuid").stat().st_mode) == 0o755


def test_names_of_one_file_become_files(old: Place, new: Place) -> None:
    (old.work / "a").write_bytes(b"x" * 10_000)
    os.link(old.work / "a", old.work / "b")
    new.unpack(old.packed())
    assert (new.work / "b").read_bytes() == b"x" * 10_000
    for number in range(20):
        os.link(old.work / "a", old.work / f"name-{number}")
    with pytest.raises(NotKept, match="its disk of 100000 bytes"):
        old.packed(disk_bytes=100_000)


def test_holes_stay_holes(old: Place, new: Place) -> None:
    with open(old.work / "sparse", "wb") as file:
        file.seek(40 * 2**30)
        file.write(b"in the middle")
        file.truncate(50 * 2**30)
    with open(old.work / "nothing", "wb") as file:
        file.truncate(3 * 2**30)
    data = old.packed()
    assert len(data) < 20_000
    new.unpack(data)
    status = (new.work / "sparse").stat()
    assert (status.st_size, (new.work / "nothing").stat().st_size) == (50 * 2**30, 3 * 2**30)
    assert status.st_blocks * 512 < 2**20
    with open(new.work / "sparse", "rb") as file:
        file.seek(40 * 2**30 - 3)
        assert file.read(20) == b"\0\0\0in the middle\0\0\0\0"


def test_more_than_the_disk_holds(old: Place) -> None:
    for number in range(40):
        (old.work / f"{number}").write_bytes(b"x")
    assert old.packed(disk_bytes=40 * 4096)
    with pytest.raises(NotKept, match="more than its disk"):
        old.packed(disk_bytes=39 * 4096)
    with pytest.raises(NotKept, match="more than its disk"):
        old.packed(entries=39)


def test_very_deep_trees(old: Place, new: Place) -> None:
    fd = os.dup(old.files_fd)
    names = [b"work", *(b"%d" % (number % 10) * 200 for number in range(3000))]
    for name in names:
        if name != b"work":
            os.mkdir(name, dir_fd=fd)
        deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = deeper
        with open(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=fd), "wb") as leaf:
            leaf.write(name)
    os.close(fd)
    before = descriptors()
    data = old.packed()
    assert len(data) < 3001 * 1000  # a path for each would be a gigabyte
    new.unpack(data)
    assert descriptors() == before
    fd = os.dup(new.files_fd)
    for name in names:
        deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = deeper
        with open(os.open("leaf", os.O_RDONLY, dir_fd=fd), "rb") as leaf:
            assert leaf.read() == name
    os.close(fd)


def test_descriptors_are_few_however_deep(old: Place) -> None:
    fd = os.dup(old.files_fd)
    deeper = os.open("work", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
    os.close(fd)
    fd = deeper
    for _ in range(1000):
        os.mkdir("d", dir_fd=fd)
        deeper = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    before, most = descriptors(), 0
    for message in (messages := Packer(old.tops, DISK, 2000)._messages):
        if message.kind == "directory":
            most = max(most, descriptors() - before)
    messages.close()
    assert most < 100
    assert descriptors() == before


def test_swapped_under_the_walk(old: Place, secret: Path) -> None:
    """Directories that become links to the machine's own while they are read, and back."""
    for number in range(20):
        directory = old.work / f"d{number}"
        directory.mkdir()
        (directory / secret.name).write_bytes(b"its own")
        (old.work / f"f{number}").write_bytes(b"its own")
    is_over = threading.Event()
    turns = 0

    def swap() -> None:
        nonlocal turns
        while not is_over.is_set():
            for number in range(20):
                for name, target in ((f"d{number}", secret.parent), (f"f{number}", secret)):
                    path, aside = old.work / name, old.work / f"{name}-aside"
                    path.rename(aside)
                    path.symlink_to(target)
                    path.unlink()
                    aside.rename(path)
            turns += 1

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        packs = 0
        while turns < 30 or packs < 30:
            assert SECRET not in old.packed()
            packs += 1
    finally:
        is_over.set()
        swapping.join()


def test_a_link_where_a_directory_was(new: Place, old: Place, secret: Path) -> None:
    """An archive is unpacked below its place, whatever lies there."""
    (old.work / "d").mkdir()
    (old.work / "d" / secret.name).write_bytes(b"overwritten")
    data = old.packed()
    (new.work / "d").symlink_to(secret.parent)
    with pytest.raises(OSError):
        new.unpack(data)
    assert secret.read_bytes() == SECRET
    (new.work / "d").unlink()
    (new.work / "d").mkdir()
    (new.work / "d" / secret.name).symlink_to(secret)
    new.unpack(data)
    assert secret.read_bytes() == SECRET
    assert (new.work / "d" / secret.name).read_bytes() == b"overwritten"


def head(kind: str, name: bytes, **more: object) -> bytes:
    return encode(Message(kind, {"name": len(name), "mode": 0o700, "mtime": [0, 0], "size": 0, **more}, name))


BEGINNING = encode(Message("archive", {"version": 1}))


@pytest.mark.parametrize(
    "data",
    [
        b"no archive",
        encode(Message("archive", {"version": 2})),
        BEGINNING + head("directory", b"elsewhere"),
        BEGINNING + head("file", b"x"),
        BEGINNING + encode(Message("up", {})),
        BEGINNING + head("directory", b"work") + encode(Message("data", {"offset": 0}, b"x")),
        BEGINNING + head("directory", b"work") + encode(Message("end", {})),
        *(
            BEGINNING + head("directory", b"work") + head(kind, name)
            for kind in ("directory", "file", "link")
            for name in (b"", b".", b"..", b"../x", b"a/b", b"/tmp/x", b"x\0y")
        ),
    ],
)
def test_what_is_no_archive(new: Place, data: bytes) -> None:
    with pytest.raises(NotKept):
        new.unpack(data)
    assert os.listdir(new.work) == []


def test_an_archive_that_was_cut_short(old: Place, new: Place) -> None:
    (old.work / "a").write_bytes(b"x" * 100)
    unpacker = Unpacker(new.tops, DISK)
    unpacker.feed(old.packed()[:-1])
    assert not unpacker.is_complete
    unpacker.close()
