"""Runtimes that were built: where each lies, which of its builds is the current one, and who uses it.

    runtimes/ml/current -> builds/…       a link, swapped by a rename: to a build that is whole
    runtimes/ml/builds/…/environment      the Python environment, all that guests see
                         requirements.txt, requirements.lock, runtime.json
                         in-use           whoever uses the build holds a shared lock (flock) on it
    runtimes/.ml.lock                     whoever builds, checks or removes holds it

A build is never changed once it is current. One that is not current any more is deleted by whoever finds that nobody
uses it: its last user, or the next command. A process that is killed lets go of its locks, so nothing has to be cleaned
up by name.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from belljar import private
from belljar.errors import InvalidRequest, NotFound, RuntimeUnavailable
from belljar.tiers import DATA_TIERS

DEFAULT = "default"
"""The runtime that BELLJAR_RUNTIME names. Nothing is built under this name."""
FOLDER = "runtimes"
"""Below the state directory."""
ENVIRONMENT = "environment"
REQUIREMENTS, LOCK, FACTS = "requirements.txt", "requirements.lock", "runtime.json"
NAME_PATTERN = r"[a-z0-9][a-z0-9_-]{0,62}"

ONE_THREAD = {
    **dict.fromkeys(
        ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
    ),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # begun at import, used or not
}
"""For a process that is forked after its imports: a pool's threads do not survive that, and setns refuses to run beside
them."""

_CURRENT, _BUILDS, _IN_USE = "current", "builds", "in-use"


ProblemKind = Literal["fails", "hangs", "threads", "opens", "forks", "writes"]


@dataclass(frozen=True)
class Problem:
    """Why a module is not imported ahead."""

    kind: ProblemKind
    detail: str


@dataclass(frozen=True)
class ModuleReport:
    """What the import of one module did, alone in a process of its own in the jail."""

    module: str
    milliseconds: float
    memory_bytes: int
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Facts:
    """What is known of a build."""

    name: str
    python: str
    """As `3.12.1`."""
    base_python: str
    """The interpreter that it was made with."""
    base_prefix: str
    packages: dict[str, str]
    """Versions by the distributions' own names."""
    direct: list[str]
    """Those that the requirements name, and not only what these need."""
    owners: dict[str, list[str]]
    """For each name that can be imported: the distributions that it comes from."""
    requires: dict[str, list[str]]
    programs: list[str]
    """Commands that packages have brought."""
    folder: str
    """In which paths in the requirements begin."""
    preload: list[list[str]]
    """As it was asked for: modules by tier."""
    modules: list[ModuleReport]
    built_at: str
    belljar: str

    @property
    def reported(self) -> dict[str, ModuleReport]:
        """Modules that are not imported ahead."""
        return {report.module: report for report in self.modules if report.problems}

    @property
    def tiers(self) -> dict[str, tuple[str, ...]]:
        """What zygotes import, as `Settings.preload`: nothing that was reported."""
        out = {"bare": DATA_TIERS["bare"]}
        for number, modules in enumerate(self.preload, 1):
            if sound := tuple(module for module in modules if module not in self.reported):
                out[f"preload-{number}"] = sound
        return out


@dataclass(frozen=True)
class Build:
    """One build of a runtime."""

    directory: Path
    facts: Facts

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def environment(self) -> Path:
        return self.directory / ENVIRONMENT

    @property
    def lock(self) -> str:
        """What is installed, with hashes. Raises OSError."""
        return (self.directory / LOCK).read_text("utf-8")


class Use:
    """A build that is kept from being deleted, until `release`."""

    def __init__(self, runtimes: Runtimes, build: Build, fd: int) -> None:
        self._runtimes = runtimes
        self._fd = fd
        self.build = build

    def release(self) -> None:
        """Let go of it; it is deleted where it is not the current one, and nobody else uses it."""
        os.close(self._fd)
        self._runtimes.clear_away(self.build.directory)


class Runtimes:
    """All that were built below one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        """Where it leads, for it may be a link: out of a directory that only its owner may enter."""
        self._known: dict[Path, tuple[int, Build]] = {}
        """By directory, with the time at which its facts were written."""

    def names(self) -> list[str]:
        """Of all that are there."""
        try:
            found = sorted(
                entry.name for entry in os.scandir(self.root) if re.fullmatch(NAME_PATTERN, entry.name)
            )
        except FileNotFoundError:
            return []
        return [name for name in found if (self.root / name / _CURRENT).is_symlink()]

    def current_directory(self, name: str) -> Path | None:
        """Of the build that new sessions get; None where there is no runtime of that name."""
        if not re.fullmatch(NAME_PATTERN, name):
            return None
        place = self.root / name
        try:
            return place / os.readlink(place / _CURRENT)
        except OSError:
            return None

    def find(self, name: str) -> Build:
        """The current build. Raises NotFound that names those that are there, RuntimeUnavailable for a broken one."""
        while True:
            directory = self.current_directory(name)
            if directory is None:
                there = ", ".join([DEFAULT, *self.names()])
                # No name has more characters, and what was asked for may have any number.
                raise NotFound(f"runtime: there is no runtime {name[:64]!r}. Those that are there: {there}")
            try:
                return self._read(directory)
            except RuntimeUnavailable:
                if self.current_directory(name) == directory:
                    raise  # else another one has taken its place meanwhile, and it was deleted

    def _read(self, directory: Path) -> Build:
        try:
            written = (directory / FACTS).stat().st_mtime_ns
            known = self._known.get(directory)
            if known is None or known[0] != written:
                facts = read(Facts, json.loads((directory / FACTS).read_bytes()))
                self._known = {place: other for place, other in self._known.items() if place.exists()}
                self._known[directory] = known = (written, Build(directory, facts))
        except (OSError, ValueError, RecursionError) as error:
            name = directory.parent.parent.name
            raise RuntimeUnavailable(
                f"the runtime {name} cannot be read: {directory / FACTS}: {_in_a_line(error)}. Remove it by belljar "
                f"runtime remove {name} and create it again, from the {REQUIREMENTS} beside that file or others"
            ) from error
        return known[1]

    def use(self, name: str) -> Use:
        """Keep the current build from being deleted. Raises NotFound, RuntimeUnavailable."""
        while True:
            build = self.find(name)
            try:
                fd = os.open(build.directory / _IN_USE, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError as error:
                if self.current_directory(name) != build.directory:
                    continue  # another one has taken its place meanwhile
                raise RuntimeUnavailable(
                    f"the runtime {name} is not whole: {build.directory / _IN_USE} is missing. "
                    f"Build it anew: belljar runtime rebuild {name}"
                ) from error
            fcntl.flock(fd, fcntl.LOCK_SH)
            if os.fstat(fd).st_nlink:
                return Use(self, build, fd)
            os.close(fd)  # it was just being deleted

    def clear_away(self, directory: Path) -> bool:
        """Delete a build that is not the current one, unless somebody uses it. Returns whether it is gone."""
        place = directory.parent.parent
        if self.current_directory(place.name) == directory:
            return False
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            fd = os.open(directory / _IN_USE, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # First, and while it is locked: whoever waits for the lock sees that there is nothing to be used.
                os.unlink(directory / _IN_USE)
            except BlockingIOError:
                return False
            finally:
                os.close(fd)
        shutil.rmtree(directory, ignore_errors=True)
        for empty in (place / _BUILDS, place):
            with contextlib.suppress(OSError):
                os.rmdir(empty)
        return not directory.exists()

    def clear_all(self, name: str) -> list[Path]:
        """Delete what is left of a runtime but its current build: for whoever is its builder.

        Returns builds that are still in use.
        """
        builds = self.root / name / _BUILDS
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.root / name / f".{_CURRENT}")
        left = sorted(builds.iterdir()) if builds.is_dir() else []
        current = self.current_directory(name)
        left = [directory for directory in left if directory != current and not self.clear_away(directory)]
        with contextlib.suppress(OSError):
            os.rmdir(self.root / name)
        return left

    # -- for whoever builds --------------------------------------------------------------------------------

    @contextmanager
    def builder(self, name: str, what: str) -> Iterator[None]:
        """Be the only one who changes the runtime `name`. Raises InvalidRequest, with who else is at it.

        What a builder that was killed has left is deleted first, and what is not whole in the end.
        """
        check_name(name)
        private.make_directory(self.root.parent)  # the state directory, as a server makes it
        self.root.mkdir(exist_ok=True)
        path = self.root / f".{name}.lock"
        fd = _locked(path, what, name)
        try:
            self.clear_all(name)
            try:
                yield
            finally:
                self.clear_all(name)
        finally:
            os.unlink(path)
            os.close(fd)

    def new_directory(self, name: str) -> Path:
        """For a build of the builder's, which is no more than a directory until `make_current`."""
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        directory = self.root / name / _BUILDS / f"{stamp}-{os.urandom(3).hex()}"
        made = False
        while not made:
            with contextlib.suppress(
                FileNotFoundError
            ):  # a last user of a removed one has just taken the folder away
                directory.mkdir(parents=True)
                made = True
        (directory / _IN_USE).touch()
        return directory

    def make_current(self, directory: Path, facts: Facts) -> Build:
        """Have new sessions get this build."""
        write_facts(directory, facts)
        place = directory.parent.parent
        link = place / f".{_CURRENT}"
        link.symlink_to(directory.relative_to(place))
        link.replace(place / _CURRENT)
        return Build(directory, facts)

    def forget(self, name: str) -> None:
        """Have no new session get it."""
        (self.root / name / _CURRENT).unlink()


def link_name(name: str) -> str | None:
    """A runtime as a keeper is told of it (`orders.Opening`)."""
    return None if name == DEFAULT else name


def check_name(name: str) -> None:
    """Raises InvalidRequest for what cannot be a built runtime's name."""
    if name == DEFAULT:
        raise InvalidRequest(
            f"{DEFAULT!r} is the runtime that BELLJAR_RUNTIME names; choose another name for one of your own"
        )
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidRequest(
            f"{name!r} cannot be a runtime's name: up to 63 of a-z, 0-9, _ and -, beginning with a letter or digit"
        )


def read(kind: Any, told: Any, place: str = "the whole") -> Any:
    """What JSON says, as the dataclass or type that it has to be. Raises ValueError with the place of what is not."""
    origin, of = get_origin(kind), get_args(kind)
    if origin is Literal and told in of:
        return told
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(told, dict):
        hints = get_type_hints(kind)
        values = {}
        for name in (one.name for one in fields(kind)):
            where = f"{place}.{name}".removeprefix("the whole.")
            if name not in told:
                raise ValueError(f"{where} is missing")
            values[name] = read(hints[name], told[name], where)
        return kind(**values)
    if origin is list and isinstance(told, list):
        return [read(of[0], item, f"{place}.{number}") for number, item in enumerate(told)]
    if origin is dict and isinstance(told, dict):
        return {name: read(of[1], item, f"{place}.{name}") for name, item in told.items()}
    if (kind is float and isinstance(told, int | float)) or (kind in {str, int} and isinstance(told, kind)):
        return told
    raise ValueError(f"{place} is not as it was written")


def _in_a_line(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def write_facts(directory: Path, facts: Facts) -> None:
    """Put runtime.json into place, in one step."""
    new = directory / f".{FACTS}"
    new.write_text(json.dumps(asdict(facts), indent=1), "utf-8")
    new.replace(directory / FACTS)


def _locked(path: Path, what: str, name: str) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it last has perhaps deleted it since we opened it.
            if path.exists() and os.fstat(fd).st_ino == path.stat().st_ino:
                os.ftruncate(fd, 0)
                holder = {"pid": os.getpid(), "what": what, "since": int(time.time())}
                os.pwrite(fd, json.dumps(holder).encode(), 0)
                return fd
        except BlockingIOError as error:
            who = _holder(os.pread(fd, 4096, 0))
            os.close(fd)
            raise InvalidRequest(
                f"the runtime {name} is being worked on by {who}; wait for its end"
            ) from error
        os.close(fd)


def _holder(text: bytes) -> str:
    try:
        said: dict[str, Any] = json.loads(text)
        since = time.strftime("%H:%M:%S UTC", time.gmtime(said["since"]))
        return f"process {int(said['pid'])} ({said['what']}, since {since})"
    except (ValueError, KeyError, TypeError):
        return "another process"  # that has just begun
