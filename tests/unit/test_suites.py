"""A folder of tests that no target names would be run by nobody, and nobody would hear of it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITES = ("test", "test-drawing", "test-clients")
"""The targets that share out tests/."""
LEFT_OUT = "sandbox/drawing"
"""Of one of them."""


def _named(target: str) -> list[str]:
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None, target
    return re.findall(r" tests/([\w/]+)", recipe[1])


def test_each_folder_is_in_one_of_the_suites() -> None:
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in ROOT.glob("tests/**/test_*.py")}
    assert len(folders) > 5
    assert sorted(name for target in SUITES for name in _named(target)) == sorted({*folders, LEFT_OUT})
    assert re.findall(r"--ignore=tests/(\S+)", (ROOT / "Makefile").read_text()) == [LEFT_OUT]


def test_ci_runs_each_suite() -> None:
    commands = re.findall(r"\bmake ((?:[a-z-]+ ?)+)", (ROOT / ".ci/run").read_text())
    targets = {target for command in commands for target in command.split()}
    assert targets >= {
        *SUITES,
        "fuzz",
        "soak",
        "test-as-user",
        "test-install",
        "test-image",
        "test-other-kernel",
    }
