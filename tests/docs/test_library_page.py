"""The program of the library's page is run as it stands, and its tables have all that there is."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from belljar import AsyncSandbox, Result, Sandbox

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "library.md").read_text()


def test_the_program(tmp_path: Path) -> None:
    [program] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLJAR_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.startswith("7\n"), done.stderr
    assert (tmp_path / "chart-1.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", [Sandbox, Result])
def test_all_that_there_is_stands_in_a_table(kind: type) -> None:
    rows = "".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    for name in vars(kind):
        if not name.startswith("_"):
            assert re.search(rf"`{name}\b", rows), name
    for name in list(inspect.signature(Sandbox).parameters)[3:]:
        assert f"`{name}`" in rows, name


def test_both_sandboxes_have_the_same() -> None:
    for name in vars(Sandbox):
        if not name.startswith("_"):
            ours = vars(Sandbox)[name]
            others = vars(AsyncSandbox)["aclose" if name == "close" else name]
            if not isinstance(ours, property):
                signature = str(inspect.signature(ours))
                assert signature.replace("Sandbox", "AsyncSandbox") == str(inspect.signature(others)), name
    assert inspect.signature(Sandbox) == inspect.signature(AsyncSandbox)
