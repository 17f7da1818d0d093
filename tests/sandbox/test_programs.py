"""Each program of `programs/` runs as it would anywhere: the jail is not noticed by who does nothing wrong."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from jail import has_cgroups, has_own_uids, opened

from belljar import link
from belljar.records import MIB

pytestmark = pytest.mark.anyio

_FOLDER = Path(__file__).parent / "programs"
_BARE = "reduced without own uid"
_UNCOUNTED = "without cgroup"
_PLACES = frozenset({"full", "limited", "reduced", _BARE, _UNCOUNTED})


@dataclass(frozen=True)
class Program:
    name: str
    source: str
    limits: dict[str, int]
    not_at: dict[str, str]
    """Where it cannot run, each with the reason."""


def _read(path: Path) -> Program:
    source = path.read_text()
    described = ast.get_docstring(ast.parse(source)) or ""
    limits, not_at = {}, {}
    for line in described.splitlines()[1:]:
        name, _, value = line.partition(": ")
        if name == "Limits":
            for key, number, unit in re.findall(r"(\w+)=(\d+)( MiB)?", value):
                limits[key] = int(number) * (MIB if unit else 1)
        elif name == "Not at":
            place, _, why = value.partition(" - ")
            not_at[place] = why
        else:
            assert not line, (path, line)
    return Program(str(path.relative_to(_FOLDER).with_suffix("")), source, limits, not_at)


PROGRAMS = [_read(path) for path in sorted(_FOLDER.glob("*/*.py"))]


def _where(keeper: link.Keeper) -> set[str]:
    """The names of what this is, among `_PLACES`."""
    level = keeper.description.isolation.level
    bare = {_BARE} if level == "reduced" and not has_own_uids(keeper) else set()
    return {level} | bare | (set() if has_cgroups(keeper) else {_UNCOUNTED})


def test_the_programs_have_their_form() -> None:
    assert len(PROGRAMS) >= 44
    for program in PROGRAMS:
        assert ast.get_docstring(ast.parse(program.source)), program.name
        # One that is cut short says nothing, and one that asserts nothing proves nothing.
        assert program.source.rstrip().endswith('print("done")'), program.name
        assert "assert " in program.source, program.name
        assert set(program.not_at) <= _PLACES, program.name
        assert all(program.not_at.values()), program.name


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
async def test_a_program_does_not_notice(preloaded: link.Keeper, program: Program) -> None:
    where = _where(preloaded)
    cannot_run = where & set(program.not_at)
    async with opened(preloaded, **program.limits) as session:
        result = await session.run(program.source, timeout=50)
        said = f"{result.outcome}\n{result.stdout}\n{result.stderr}"
        if cannot_run:
            # It is told so in Python's own words, and the session goes on.
            assert result.outcome.status == "raised", said
            assert await session.says("print('alive')") == "alive"
        else:
            assert result.outcome.status == "completed", said
            assert result.stdout.splitlines()[-1:] == ["done"], said
