"""The adapters of examples/adapters, each through the real package, by a scripted model of that package's own.

`scripts/setup tests` makes their environment, `.venv-adapters`. What is in the files `with_*.py` beside this one
runs in it, by its own pytest.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from belljar.settings import Settings

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".venv-adapters" / "bin" / "python"
DEADLINE_SECONDS = 300
ADAPTERS = {path.stem: path for path in sorted((ROOT / "examples" / "adapters").glob("*.py"))}
DRIVEN = {path.stem: path for path in sorted(HERE.glob("with_*.py"))}


def environment(home: Path) -> dict[str, str]:
    """With the runtime that the tests have, and without what a package would take for its user's own."""
    foreign = ("ANTHROPIC_", "BELLJAR_", "HF_", "INSPECT_", "LANGCHAIN_", "LANGSMITH_", "OPENAI_", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {
        "BELLJAR_RUNTIME": str(Settings().runtime),
        "HOME": str(home),
        "NO_PROXY": "127.0.0.1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT / "examples" / "adapters"),
    }


def run(arguments: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    assert PYTHON.exists(), "scripts/setup tests makes it, as make test-clients does"
    return subprocess.run(
        [str(PYTHON), *arguments],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


def test_each_adapter_is_driven() -> None:
    driven = "".join(path.read_text() for path in DRIVEN.values())
    assert ADAPTERS
    for name in ADAPTERS:
        assert f"import {name}" in driven, name


def drive(path: Path, home: Path) -> subprocess.CompletedProcess[str]:
    home.mkdir()
    options = ["-p", "no:cacheprovider", "-q", "-o", "anyio_mode=auto"]
    # What the folders above tell pytest is for the project's own environment.
    places = [f"--rootdir={HERE}", f"--confcutdir={HERE}", f"--basetemp={home / 'temp'}"]
    return run(["-m", "pytest", *options, *places, str(path)], home)


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Any]]]:
    """What each of the files came to: side by side, for they wait a lot."""
    home = tmp_path_factory.mktemp("adapters")
    with ThreadPoolExecutor(3) as pool:
        yield {name: pool.submit(drive, path, home / name) for name, path in DRIVEN.items()}


@pytest.mark.parametrize("name", DRIVEN)
def test_with(name: str, driven: dict[str, Future[Any]]) -> None:
    done = driven[name].result()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout
