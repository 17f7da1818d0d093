"""What is installed, and that nothing can be."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from belljar.guest.magics import Cell, Line, UsageError

if TYPE_CHECKING:
    from belljar.guest.shell import Shell

_NO_NETWORK = "There is no network here, and the environment is read-only: nothing can be installed."
_VALUED = frozenset(
    "-i --index-url --extra-index-url -f --find-links -c --constraint -t --target --prefix --root".split()
)
"""Options that the next word belongs to."""
_MAY_BE = 500
"""Names of packages in an answer."""


def _pip(shell: Shell, line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[:1] == ["pip"]:
        words = words[1:]  # uv pip
    _answer(words, shell.expanded_path)


def main(words: list[str]) -> None:
    """`pip` for commands: exits with 1 for what cannot be done."""
    try:
        _answer(words, os.path.expanduser)
    except (UsageError, OSError) as error:
        sys.exit(f"ERROR: {error}")


def _answer(words: list[str], expanded: Callable[[str], str]) -> None:
    from importlib import metadata

    command, *rest = words or [""]
    names = _named(rest, expanded)
    if command == "install":
        _installed(names)
    elif command in ("list", "freeze"):
        found = sorted({(dist.name, dist.version) for dist in metadata.distributions() if dist.name})
        for name, version in found:
            print(f"{name}=={version}")
    elif command == "show":
        for name in names:
            try:
                about = metadata.metadata(name)
            except metadata.PackageNotFoundError:
                print(f"WARNING: Package(s) not found: {name}", file=sys.stderr)
                continue
            for field in ("Name", "Version", "Summary", "Home-page", "License"):
                print(f"{field}: {about.json.get(field.lower().replace('-', '_'), '')}")
    elif command in ("--version", "-V"):
        print(f"There is no pip; Python {sys.version.split()[0]} in {sys.prefix}")
    else:
        raise UsageError(f"pip {command}: {_NO_NETWORK} `pip list` says what is there")


def _named(words: list[str], expanded: Callable[[str], str]) -> list[str]:
    """What stands among the words of a command, and in files of requirements, that is no option."""
    names: list[str] = []
    left = iter(words)
    for word in left:
        if word in ("-r", "--requirement"):
            with open(expanded(next(left, "")), encoding="utf-8") as file:
                lines = [line.partition("#")[0].strip() for line in file]
            names += [line for line in lines if line and not line.startswith("-")]
        elif word in _VALUED:
            next(left, "")
        elif not word.startswith("-"):
            names.append(word)
    return names


def _installed(asked: list[str]) -> None:
    """Say of each package that is to be installed whether it is there. Raises UsageError where one is not."""
    from importlib import metadata
    from importlib.util import find_spec

    missing = []
    for requirement in asked:
        name = re.split(r"[\s\[<>=!~;@]", requirement, maxsplit=1)[0]
        try:
            print(
                f"Requirement already satisfied: {requirement} ({name} {metadata.version(name)} is installed)"
            )
        except (metadata.PackageNotFoundError, ValueError):
            if name.isidentifier() and find_spec(name) is not None:
                print(f"Requirement already satisfied: {requirement} ({name} can be imported)")
            else:
                missing.append(requirement)
    if missing:
        there = sorted({dist.name for dist in metadata.distributions() if dist.name}, key=str.lower)[:_MAY_BE]
        raise UsageError(f"{', '.join(missing)}: {_NO_NETWORK} Do it with what is there: {', '.join(there)}")
    if not asked:
        raise UsageError(f"pip install: {_NO_NETWORK}")


def _conda(shell: Shell, line: str) -> None:
    _pip(shell, line)


LINES: dict[str, Line] = {
    "pip": _pip,
    "pip3": _pip,
    "uv": _pip,
    "conda": _conda,
    "mamba": _conda,
}
CELLS: dict[str, Cell] = {}
