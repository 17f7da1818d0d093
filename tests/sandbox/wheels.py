"""Small packages as wheels in a folder, and `belljar runtime` on them: no test asks an index for anything."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BUILD_SECONDS = 300

PACKAGES: dict[tuple[str, str], str] = {
    ("bell_fine", "1.0"): "ANSWER = 'fine one'\ndef main():\n    print(ANSWER)\n",
    ("bell_fine", "2.0"): "ANSWER = 'fine two'\ndef main():\n    print(ANSWER)\n",
    ("bell_threads", "1.0"): (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(1e6,), daemon=True, name='watcher').start()\n"
    ),
    ("bell_fails", "1.0"): "raise ImportError('it wants a machine that is not this one')\n",
    ("bell_exits", "1.0"): "import sys\nsys.exit(3)\n",
    ("bell_dies", "1.0"): "import os\nos.abort()\n",
    ("bell_opens", "1.0"): "KEPT = open(__file__)\n",
    ("bell_forks", "1.0"): (
        "import os\npid = os.fork()\nif pid == 0:\n    os._exit(0)\nos.waitpid(pid, 0)\n"
    ),
    ("bell_leaves", "1.0"): "import subprocess\nCHILD = subprocess.Popen(['sleep', '1000'])\n",
    ("bell_writes", "1.0"): (
        "import contextlib, os\nwith contextlib.suppress(OSError):\n"
        "    open(os.path.join(os.path.dirname(__file__), 'cache'), 'w').write('x')\n"
    ),
    ("bell_prints", "1.0"): "print('{\"seconds\": 0}')\n",
    ("bell_forges", "1.0"): (
        "import contextlib, os\n"
        "for fd in range(3, 10):\n"
        "    with contextlib.suppress(OSError):\n"
        '        os.write(fd, b\'{"seconds": 1, "memory_bytes": 5, "problems": [["strange", "x"]]}\')\n'
        "os._exit(0)\n"
    ),
    ("bell_wants_one", "1.0"): "import bell_fine\n",
}
_REQUIRES = {"bell_wants_one": ["bell-fine<2"]}
_SCRIPTS = {"bell_fine": "bell-fine = bell_fine:main"}


def make(folder: Path) -> Path:
    """Write all of them, and one that has a source only."""
    folder.mkdir(parents=True, exist_ok=True)
    for (name, version), code in PACKAGES.items():
        _wheel(folder, name, version, code)
    _source(folder)
    return folder


def _wheel(folder: Path, name: str, version: str, code: str) -> None:
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {needed}\n" for needed in _REQUIRES.get(name, ()))
    content = {
        f"{name}/__init__.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if name in _SCRIPTS:
        content[f"{info}/entry_points.txt"] = f"[console_scripts]\n{_SCRIPTS[name]}\n"
    lines = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in content.items():
            entry = zipfile.ZipInfo(path)  # of 1980: the same bytes each time, for a lock has their hash
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _source(folder: Path) -> None:
    text = b"Metadata-Version: 2.1\nName: bell_source\nVersion: 1.0\n"
    with tarfile.open(folder / "bell_source-1.0.tar.gz", "w:gz") as archive:
        for name in ("PKG-INFO", "pyproject.toml"):
            body = text if name == "PKG-INFO" else b""
            entry = tarfile.TarInfo(f"bell_source-1.0/{name}")
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))


def environment(wheels: Path, **more: str) -> dict[str, str]:
    """Of `belljar runtime`: it finds these packages and nothing else."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("BELLJAR_", "UV_", "PIP_"))
    }
    if required := os.environ.get("BELLJAR_REQUIRE"):
        kept["BELLJAR_REQUIRE"] = required
    own = {
        "UV_OFFLINE": "1",
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(wheels),
        "UV_CACHE_DIR": str(wheels / "cache"),
    }
    return kept | own | more


def command(*arguments: str) -> list[str]:
    """`belljar runtime …`."""
    return [sys.executable, "-c", "from belljar.cli import main; main()", "runtime", *arguments]


def belljar_runtime(
    state: Path, wheels: Path, *arguments: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """`belljar runtime …` with that state directory, to its end."""
    return subprocess.run(
        command(*arguments, "--state-dir", str(state)),
        env=environment(wheels, **more),
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )


def build(
    state: Path, wheels: Path, name: str, requirements: Sequence[str], *arguments: str, again: bool = False
) -> dict[str, Any]:
    """A runtime of these requirements; what the command says of it."""
    file = state / f"{name}.in"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in requirements))
    what = "rebuild" if again else "create"
    done = belljar_runtime(state, wheels, what, name, "--requirements", str(file), "--json", *arguments)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document
