"""What stands for pip in a runtime that has none: it calls the jail's program, and no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from belljar.client import laid_pip, lay_pip
from belljar.keeper import policy


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site-packages"
    site.mkdir()
    lay_pip.lay(site)
    return site


def asked(site: Path, program: str | None, *how: str) -> subprocess.CompletedProcess[str]:
    path = site.parent / "bin"
    path.mkdir()
    if program is not None:
        (path / "pip").write_text(program)
        (path / "pip").chmod(0o755)
    environment = {
        "PATH": f"{path}:/usr/bin:/bin" if program is not None else "/nowhere",
        "PYTHONPATH": str(site),
    }
    return subprocess.run(
        [sys.executable, *how], env=environment, cwd=site, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    "how",
    [
        ["-m", "pip", "install", "a b"],
        ["-c", "import pip, sys; sys.exit(pip.main(['install', 'a b']))"],
    ],
)
def test_the_jails_program_is_called(site: Path, how: list[str]) -> None:
    program = f'#!/bin/sh\n{laid_pip.MARK}\nprintf "%s," "$@"\nexit 3\n'
    done = asked(site, program, *how)
    assert (done.returncode, done.stdout, done.stderr) == (3, "install,a b,", "")


@pytest.mark.parametrize("program", ["#!/bin/sh\necho the machine's own\n", None])
def test_another_program_is_not(site: Path, program: str | None) -> None:
    done = asked(site, program, "-m", "pip", "install", "numpy")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ERROR: There is no pip in this environment")


def test_the_jails_programs_are_known() -> None:
    assert all(laid_pip.MARK in text for text in policy.programs("python", "inside.zip").values())


def test_a_pip_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "pip" / "_internal").mkdir(parents=True)
    lay_pip.lay(tmp_path)
    assert [path.name for path in (tmp_path / "pip").iterdir()] == ["_internal"]
    lay_pip.lay(tmp_path / "pip")
    lay_pip.lay(tmp_path / "pip")  # as often as it is set up
    assert sorted(path.name for path in (tmp_path / "pip" / "pip").iterdir()) == [
        "__init__.py",
        "__main__.py",
    ]
