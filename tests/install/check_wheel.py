"""What `make wheel` has built, installed by pip into a clean environment outside of the checkout, as a user would.

No part of `make test`, for it takes minutes: `make test-install` runs it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import anthropic
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 600


def _built(pattern: str) -> Path:
    found = list((ROOT / "dist").glob(pattern))
    assert len(found) == 1, f"make wheel builds dist/{pattern}"
    return found[0]


WHEEL, SOURCES = _built("*.whl"), _built("*.tar.gz")


def _contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def test_what_is_in_the_wheel() -> None:
    inside = _contents(WHEEL)
    own = [path for path in (ROOT / "src" / "belljar").rglob("*.py") if "attacks" not in path.parts]
    for path in own:
        assert inside[str(path.relative_to(ROOT / "src"))] == path.read_bytes(), path
    hostile = list((ROOT / "tests" / "sandbox" / "attacks").rglob("*.py"))
    assert hostile
    for path in hostile:
        name = f"belljar/attacks/{path.relative_to(ROOT / 'tests' / 'sandbox' / 'attacks')}"
        assert inside[name] == path.read_bytes(), path
    for name in ("runtime-data.txt", "uv.txt"):
        assert inside[f"belljar/locks/{name}"] == (ROOT / "locks" / name).read_bytes()
    assert "belljar/py.typed" in inside
    if (ROOT / "web" / "package.json").exists():
        assert any(name.startswith("belljar/page/") and name.endswith(".html") for name in inside)
    told = inside[next(name for name in inside if name.endswith(".dist-info/METADATA"))].decode()
    assert "License-Expression: Apache-2.0" in told
    assert str(ROOT) not in told
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in inside)


def test_links_are_links_in_the_checkout_only() -> None:
    for link in ("attacks", "locks/runtime-data.txt", "locks/uv.txt"):
        assert (ROOT / "src" / "belljar" / link).is_symlink()
    with tarfile.open(SOURCES) as archive:
        assert not [member.name for member in archive if member.issym() and member.linkname.startswith("/")]


def test_the_checkout_and_its_sources_build_the_same_wheel(tmp_path: Path) -> None:
    from belljar.client import uv

    locked = ["--build-constraints", str(ROOT / "locks" / "build.txt"), "--require-hashes"]
    built = [uv.find(), "build", "--quiet", "--wheel", *locked, "--out-dir", str(tmp_path), str(ROOT)]
    subprocess.run(built, check=True, timeout=DEADLINE_SECONDS)
    assert _contents(next(tmp_path.glob("*.whl"))) == _contents(WHEEL)


class Installed:
    """Belljar in an environment of its own, in a home of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        kept = ("PIP_", "UV_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
        self.environment = {name: value for name, value in os.environ.items() if name.startswith(kept)}
        # Neither a uv nor a Python of the machine's own beside those that Debian has.
        self.environment |= {
            "HOME": str(place / "home"),
            "XDG_DATA_HOME": str(place / "data"),
            "PATH": "/usr/bin:/bin",
            "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
            "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip")),
            "NO_PROXY": "127.0.0.1",
        }
        (place / "home").mkdir()
        self.belljar = place / "environment" / "bin" / "belljar"
        self.runtime = place / "data" / "belljar" / "default-runtime"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.belljar, *arguments],
            cwd=self.place,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
        return process.returncode, out, err


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    installed = Installed(tmp_path_factory.mktemp("install"))
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", installed.place / "environment"], check=True, timeout=120)
    pip = [installed.place / "environment" / "bin" / "python", "-m", "pip", "install", "--quiet", WHEEL]
    done = subprocess.run(
        pip, env=installed.environment, timeout=DEADLINE_SECONDS, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return installed


def test_what_is_missing_is_told_with_the_command(installed: Installed) -> None:
    status, _, err = installed.run("doctor")
    assert status == 125
    assert f"there is no runtime at {installed.runtime}: `belljar setup` makes the default one" in err


@pytest.fixture(scope="module")
def ready(installed: Installed) -> Installed:
    """Set up by two at once, after one that was broken off."""
    broken = installed.start("setup")
    watchdog = threading.Timer(DEADLINE_SECONDS, broken.kill)
    watchdog.start()
    assert broken.stderr is not None
    while "installing" not in (line := broken.stderr.readline()):
        assert line, "it ended before it had installed anything"
    broken.send_signal(signal.SIGINT)
    _, err = broken.communicate(timeout=60)
    watchdog.cancel()
    assert broken.returncode == 130
    assert "run it again to go on" in err

    both = [installed.start("setup") for _ in range(2)]
    told = [process.communicate(timeout=DEADLINE_SECONDS)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum("laying fonts" in err for err in told) == 1, told
    assert sum("another set-up is under way" in err for err in told) == 1, told
    return installed


def test_a_second_set_up_does_nothing(ready: Installed) -> None:
    changed = ready.runtime.stat().st_mtime_ns
    status, _, err = ready.run("setup")
    assert status == 0
    assert "installing" not in err
    assert ready.runtime.stat().st_mtime_ns == changed
    assert (
        ready.place / "data" / "belljar"
    ).stat().st_mode & 0o077 == 0  # the state directory is its owner's alone


def test_code_runs(ready: Installed) -> None:
    status, out, err = ready.run("run", "-c", "print(2 ** 100)")
    assert (status, out) == (0, f"{2**100}\n"), err
    chart = "import pandas as pd\npd.Series({'早': 1, 'b': 3}).plot.bar()"
    status, _, err = ready.run("run", "-c", chart)
    assert status == 0, err
    assert (ready.place / "figure-1.png").read_bytes().startswith(b"\x89PNG")
    assert "missing from" not in err  # as matplotlib says of glyphs
    status, out, _ = ready.run("doctor")
    assert status == 0
    assert str(ready.runtime) in out


@pytest.fixture
def server(ready: Installed) -> Iterator[str]:
    process = ready.start("serve", "--port", "0")
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    assert process.stdout is not None
    line = process.stdout.readline()
    watchdog.cancel()
    try:
        assert line.startswith("Belljar listens on "), process.communicate()[1]
        yield line.split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_server_answers_the_sdk(server: str) -> None:
    client = anthropic.Anthropic(base_url=server, api_key="none")
    message = client.messages.create(
        model="none",
        max_tokens=1024,
        tools=[{"type": "code_execution_20250522", "name": "code_execution"}],
        messages=[{"role": "user", "content": "```python\nprint(6 * 7)\n```"}],
    )
    assert "42" in str(message.content)
