"""Any tree, and somebody who changes it while it is looked at: only the session's own files come out."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from amounts import a_fraction
from hypothesis import example, given
from hypothesis import strategies as st

from belljar import kernel
from belljar.keeper import collector

MINE, SECRET = b"mine", b"the machine's own"
_RENAME_EXCHANGE = 2
LOOKS = 20
_libc = ctypes.CDLL(None, use_errno=True)

Entry = tuple[str, bytes, bytes]
Change = tuple[str, bytes, bytes]

_names = (
    st.sampled_from(
        [b"a", b"b", b"c", b"\n", b"-rf", b"...", b"\xff\xfe", b"\x1b[2J", b"x" * 255, b"\xe2\x80\xaegnp.a"]
    )
    | st.binary(min_size=1, max_size=12).filter(
        lambda name: not set(name) & {0, 47} and name not in (b".", b"..")
    )
    | st.sampled_from([b"__pycache__", collector.INCOMING + b"x"])
)
_paths = st.lists(_names, min_size=1, max_size=4).map(b"/".join)
_targets = st.sampled_from(
    [b".", b"..", b"/", b"../../secret", b"../..", b"a", b"/proc/self/environ", b"/proc/self/fd/0"]
)
_entries = st.one_of(
    st.tuples(st.just("file"), _paths, st.just(b"")),
    st.tuples(st.just("directory"), _paths, st.just(b"")),
    st.tuples(st.just("link"), _paths, _targets),
    st.tuples(st.just("secret link"), _paths, st.just(b"")),
    st.tuples(st.just("fifo"), _paths, st.just(b"")),
    st.tuples(st.just("hard link"), _paths, _paths),
    st.tuples(st.just("holes"), _paths, st.just(b"")),
    st.tuples(st.just("locked"), _paths, st.just(b"")),
)
_changes = st.tuples(
    st.sampled_from(["exchange", "rename", "remove", "link", "secret link", "file", "grow", "cut"]),
    _paths,
    _paths,
)


class Place:
    """A session's files directory with a secret beside it.

    Changes go through descriptors and follow no link: as root, and with links to everywhere, they would not stay here.
    """

    def __init__(self, directory: str) -> None:
        self.outside = Path(directory)
        (self.outside / "secret").write_bytes(SECRET)
        self.top = os.fsencode(self.outside / "files" / "work")
        os.makedirs(self.top)
        self._top_fd = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        os.close(self._top_fd)

    @contextlib.contextmanager
    def _parent(self, relative: bytes) -> Iterator[tuple[bytes, int]]:
        """The last name of a path, and a descriptor of the directory that it is in. Raises OSError."""
        directory, _, name = relative.rpartition(b"/")
        fd = kernel.openat2(self._top_fd, directory or b".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield name, fd
        finally:
            os.close(fd)

    def plant(self, kind: str, relative: bytes, target: bytes) -> None:
        """Make one entry, with the directories above it, where the kernel lets us."""
        parts = relative.split(b"/")
        for count in range(1, len(parts)):
            with contextlib.suppress(OSError), self._parent(b"/".join(parts[:count])) as (name, fd):
                os.mkdir(name, dir_fd=fd)
        with contextlib.suppress(OSError), self._parent(relative) as (name, fd):
            if kind in ("file", "holes"):
                self._write(fd, name, (1 << 40) if kind == "holes" else len(MINE))
            elif kind == "directory":
                os.mkdir(name, dir_fd=fd)
            elif kind == "link":
                os.symlink(target, name, dir_fd=fd)
            elif kind == "secret link":
                os.symlink(os.fsencode(self.outside / "secret"), name, dir_fd=fd)
            elif kind == "fifo":
                os.mkfifo(name, dir_fd=fd)
            elif kind == "hard link":
                with self._parent(target) as (old, old_fd):
                    os.link(old, name, src_dir_fd=old_fd, dst_dir_fd=fd, follow_symlinks=False)
            elif kind == "locked":
                found = kernel.openat2(fd, name, os.O_RDONLY | os.O_NONBLOCK)
                os.fchmod(found, 0)
                os.close(found)

    def _write(self, directory: int, name: bytes, size: int) -> None:
        flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(name, flags, 0o644, dir_fd=directory)
        try:
            os.write(fd, MINE)
            os.ftruncate(fd, size)
        finally:
            os.close(fd)

    def change(self, kind: str, one: bytes, other: bytes) -> None:
        """What a process of the session may do at any moment."""
        with (
            contextlib.suppress(OSError),
            self._parent(one) as (name, fd),
            self._parent(other) as (other_name, other_fd),
        ):
            if kind == "exchange":
                _libc.renameat2(fd, name, other_fd, other_name, _RENAME_EXCHANGE)
            elif kind == "rename":
                os.rename(name, other_name, src_dir_fd=fd, dst_dir_fd=other_fd)
            elif kind in ("grow", "cut"):
                self._write(fd, name, 100_000 if kind == "grow" else 0)
            else:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=fd)
                if kind == "link":
                    os.symlink(os.fsencode(self.outside), name, dir_fd=fd)
                elif kind == "secret link":
                    os.symlink(os.fsencode(self.outside / "secret"), name, dir_fd=fd)
                elif kind == "file":
                    self._write(fd, name, len(MINE))


@contextlib.contextmanager
def changing(place: Place, changes: list[Change]) -> Iterator[None]:
    """Another process makes the changes, over and over, as fast as it can."""
    child = os.fork()
    if child == 0:
        try:
            deadline = time.monotonic() + 60  # should nobody be there to end it
            while time.monotonic() < deadline:
                for change in changes:
                    place.change(*change)
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@contextlib.contextmanager
def _place() -> Iterator[tuple[Place, int]]:
    with tempfile.TemporaryDirectory() as directory:
        place = Place(directory)
        fd = os.open(os.path.dirname(place.top), os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield place, fd
        finally:
            os.close(fd)
            place.close()


def _content(fd: int, path: bytes, seen: collector.Seen) -> bytes:
    """What a reader gets; nothing where there is no such file any more."""
    try:
        return collector.read(fd, path, seen, 0, 1000)
    except OSError:
        return b""


_trees = st.lists(_entries, max_size=25)


@a_fraction(2)
@given(_trees)
@example([("file", b"a" + b"/d" * 30, b""), ("secret link", b"b", b""), ("link", b"c", b"../..")])
@example(
    [
        ("holes", b"x" * 255, b""),
        ("fifo", b"b", b""),
        ("hard link", b"c", b"b"),
        ("hard link", b"d", b"x" * 255),
    ]
)
def test_what_is_seen_is_what_the_session_has(tree: list[Entry]) -> None:
    with _place() as (place, fd):
        for entry in tree:
            place.plant(*entry)
        listing = collector.look(fd, b"work")
        for path, seen in listing.items():
            status = os.stat(path, dir_fd=fd, follow_symlinks=False)
            assert stat.S_ISREG(status.st_mode)
            assert path.startswith(b"work/")
            assert (seen.inode, seen.size_bytes) == (status.st_ino, status.st_size)
            assert _content(fd, path, seen)[:4] in (MINE, b"")
        assert listing == dict(sorted(_files(place)))
        assert collector.changed(listing, collector.look(fd, b"work")) == []


def _files(place: Place) -> Iterator[tuple[bytes, collector.Seen]]:
    """The same by other means, where nobody changes anything."""
    for directory, names, files in os.walk(place.top):
        inside = os.path.relpath(directory, os.path.dirname(place.top))
        names[:] = [name for name in names if name != b"__pycache__" and not collector.is_ours(name)]
        if inside.count(b"/") > collector.MAX_DEPTH:
            continue
        for name in files:
            status = os.lstat(os.path.join(directory, name))
            if stat.S_ISREG(status.st_mode) and not collector.is_ours(name) and name != b"__pycache__":
                seen = collector.Seen(status.st_ino, status.st_size, status.st_ctime_ns)
                yield inside + b"/" + name, seen


@a_fraction(2)
@given(_trees, st.lists(_changes, min_size=1, max_size=8))
@example(
    [("file", b"a/b", b""), ("secret link", b"b", b""), ("link", b"c", b"../.."), ("file", b"d", b"")],
    [("exchange", b"a", b"c"), ("exchange", b"b", b"d"), ("exchange", b"a", b"c")],
)
def test_whatever_is_swapped_meanwhile_nothing_comes_from_outside(
    tree: list[Entry], changes: list[Change]
) -> None:
    with _place() as (place, fd):
        for entry in tree:
            place.plant(*entry)
        with changing(place, changes):
            for _ in range(LOOKS):
                for path, seen in collector.look(fd, b"work").items():
                    assert path.startswith(b"work/")
                    content = _content(fd, path, seen)
                    assert SECRET not in content
                    assert len(content) <= seen.size_bytes
        assert (place.outside / "secret").read_bytes() == SECRET


def test_a_race_that_is_run_very_often_is_not_lost_once() -> None:
    """Directories and links that change places all the time, without an example in between to make ready."""
    tree = [("file", b"a/b", b""), ("link", b"c", b"../.."), ("secret link", b"d", b""), ("file", b"e", b"")]
    with _place() as (place, fd):
        for entry in tree:
            place.plant(*entry)
        with changing(place, [("exchange", b"a", b"c"), ("exchange", b"d", b"e")]):
            for _ in range(100 * LOOKS):
                for path, seen in collector.look(fd, b"work").items():
                    assert path.count(b"/") <= 2
                    assert b"secret" not in path
                    assert SECRET not in _content(fd, path, seen)


@a_fraction(2)
@given(_trees, st.lists(_changes, max_size=6), _names)
def test_a_file_on_its_way_in_stays_inside(tree: list[Entry], changes: list[Change], name: bytes) -> None:
    with _place() as (place, fd):
        for entry in tree:
            place.plant(*entry)
        with changing(place, [*changes, ("secret link", collector.INCOMING, name)]):
            for is_first in [True, *[False] * LOOKS]:
                with contextlib.suppress(OSError):
                    incoming = b"work/" + collector.INCOMING
                    collector.write(fd, incoming, b"new", append=not is_first, owner=os.geteuid())
            with contextlib.suppress(OSError):
                collector.rename(fd, b"work", collector.INCOMING, name, owner=os.geteuid())
        assert (place.outside / "secret").read_bytes() == SECRET
        assert sorted(os.listdir(place.outside)) == ["files", "secret"]
        assert os.listdir(place.outside / "files") == ["work"]
