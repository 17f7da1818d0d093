"""The code that goes inside, as one zip, and what the runtime's Python says of itself."""

from __future__ import annotations

import marshal
import subprocess
import zipfile
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType
from typing import IO

import belljar
from belljar import interpreters, layout
from belljar.builds import Build
from belljar.errors import JailUnavailable

_MODULES = (
    "__init__.py",
    "frames.py",
    "kernel.py",
    "packets.py",
    "layout.py",
    "zygote/*.py",
    "guest/*.py",
    "guest/*/*.py",
)
_MAIN = "from belljar.zygote.start import main\nmain()\n"


_UNCHECKED = (1).to_bytes(4, "little") + bytes(8)
"""In the head of compiled code: it has no source to be older than (PEP 552)."""


def write_zip(file: IO[bytes]) -> None:
    """Everything that runs inside the outer box, and nothing else of Belljar.

    Each module is there as source and compiled, since some are imported while somebody waits. A Python of another
    version than ours does not know the compiled ones, and takes the source.
    """
    root = Path(belljar.__file__).parent
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("__main__.py", _MAIN)
        for pattern in _MODULES:
            for path in sorted(root.glob(pattern)):
                name = Path("belljar") / path.relative_to(root)
                archive.write(path, name)
                archive.writestr(str(name.with_suffix(".pyc")), _compiled(path, f"{layout.INSIDE}/{name}"))


def _compiled(path: Path, place: str) -> bytes:
    """A module's code, as it is when it is imported from `place`."""
    # By the loader, which keeps it beside the source where it may: only the first start compiles.
    code = SourceFileLoader(path.stem, str(path)).get_code(path.stem)
    assert code is not None
    return MAGIC_NUMBER + _UNCHECKED + marshal.dumps(_placed(code, place))


def _placed(code: CodeType, place: str) -> CodeType:
    parts = [_placed(part, place) if isinstance(part, CodeType) else part for part in code.co_consts]
    return code.replace(co_filename=place, co_consts=tuple(parts))


@dataclass(frozen=True)
class Runtime:
    """A Python environment in which code runs."""

    path: Path
    python: Path
    version: str
    base_prefix: Path
    known: tuple[dict[str, list[str]], dict[str, list[str]]] | None = None
    """What `ask_for_packages` returns, where it is known already."""

    def ask_for_versions(self) -> dict[str, str]:
        """The version of each distribution, by name. Raises JailUnavailable."""
        try:
            return interpreters.versions(self.python, interpreters.packages_of(self.path))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise _does_not_run(self.python, error) from error

    def ask_for_packages(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """For each name that can be imported the distributions it comes from; for each of these, what it requires."""
        if self.known is not None:
            return self.known
        return interpreters.packages(self.python, interpreters.packages_of(self.path))


def built_runtime(build: Build) -> Runtime:
    """One that `belljar runtime` has made: nothing of it is run for this. Raises JailUnavailable."""
    facts, python = build.facts, build.environment / "bin" / "python"
    if not python.exists():
        raise JailUnavailable(
            f"its Python {python} leads nowhere: {facts.base_python} is gone. "
            f"Build it anew, with another one: belljar runtime rebuild {facts.name} --python PATH"
        )
    known = (facts.owners, facts.requires)
    return Runtime(build.environment, python, facts.python, Path(facts.base_prefix), known)


def inspect_runtime(path: Path) -> Runtime:
    """Ask the runtime's Python what it is. Raises JailUnavailable when there is none that would do."""
    python = path / "bin" / "python"
    if not python.exists():
        raise JailUnavailable(
            f"there is no runtime at {path}: `belljar setup` makes the default one, "
            "and BELLJAR_RUNTIME names another Python environment"
        )
    try:
        found = interpreters.about(python, interpreters.packages_of(path))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise _does_not_run(python, error) from error
    if found.is_old:
        raise JailUnavailable(f"the runtime at {path} is {found.version}; CPython 3.11 or newer is needed")
    return Runtime(path, python, found.version, Path(found.base_prefix))


def _does_not_run(python: Path, error: Exception) -> JailUnavailable:
    return JailUnavailable(
        f"the runtime's Python at {python} does not run: {getattr(error, 'stderr', None) or error}"
    )
