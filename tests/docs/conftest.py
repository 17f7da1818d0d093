from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))
sys.path.insert(0, str(Path(__file__).parents[1] / "mcp"))

from pages import BELLJAR, ROOT, environment

SCRIPT = ROOT / "examples" / "scripted.toml"


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    its_own = environment(BELLJAR_STATE_DIR=str(tmp_path_factory.mktemp("state")), BELLJAR_PRELOAD="{}")
    command = [BELLJAR, "serve", "--port", "0", "--upstream", f"scripted:{SCRIPT}"]
    process = subprocess.Popen(command, env=its_own, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line.startswith("Belljar listens on "), line
        yield line.removeprefix("Belljar listens on ")
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait(30)
