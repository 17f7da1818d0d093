"""The README's program and commands are run as they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pages import BELLJAR, environment

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_program_prints_what_it_says(url: str) -> None:
    (program,) = _blocks("python")
    assert "http://127.0.0.1:8421" in program
    program = program.replace("http://127.0.0.1:8421", url)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, env=environment()
    )
    assert done.returncode == 0, done.stderr
    promised = re.search(r"# (Result: .*)", program)
    assert promised is not None
    assert promised[1] in done.stdout.splitlines()


def _commands() -> list[list[str]]:
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [
        command
        for command in words
        if command[:1] == [".venv/bin/belljar"] and command[1] in ("run", "doctor")
    ]


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_the_commands_run(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [BELLJAR, *command[1:]], cwd=tmp_path, capture_output=True, text=True, timeout=120, env=environment()
    )
    assert done.returncode == 0, done.stderr
    if command[1] == "run":
        is_chart = "plot" in command[-1]
        assert done.stdout == ("" if is_chart else f"{2**100}\n")
        assert (tmp_path / "figure-1.png").exists() == is_chart
    else:
        assert done.stdout.startswith("isolation ")


PAGES = [README, *(page.read_text() for page in (ROOT / "docs").glob("*.md"))]


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in {
        name for page in PAGES for name in re.findall(r"(?:^|`)make ([a-z-]+)", page, re.MULTILINE)
    }:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_script_that_is_named_runs_with_the_options_that_are_named() -> None:
    found = {
        found
        for page in PAGES
        for found in re.findall(r"^\.venv/bin/python (\S+)((?: --\S+)?)", page, re.MULTILINE)
    }
    assert found
    for script, option in found:
        done = subprocess.run(
            [sys.executable, ROOT / script, "--help"], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert option.strip() in done.stdout
