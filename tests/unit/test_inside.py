"""What is handed to the runtime's Python: complete, and the standard library's only."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from belljar import layout
from belljar.errors import JailUnavailable
from belljar.keeper import inside

_IMPORT_ALL = """
import importlib, json, sys, zipfile
archive = sys.argv[1]
sys.path.insert(0, archive)
for name in zipfile.ZipFile(archive).namelist():
    if name != "__main__.py" and name.endswith(".py"):
        importlib.import_module(name.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
import belljar.guest.cell as cell
print(json.dumps([files, cell.Guest.serve.__code__.co_filename]))
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "inside.zip"
    with path.open("wb") as file:
        inside.write_zip(file)
    return path


def test_it_holds_the_inside_and_nothing_else_of_belljar(archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()
    sources = [name for name in names if name.endswith(".py")]
    assert {name.split("/")[1] for name in sources if name.startswith("belljar/")} == {
        "__init__.py",
        "frames.py",
        "kernel.py",
        "packets.py",
        "layout.py",
        "zygote",
        "guest",
    }
    assert set(names) - set(sources) == {f"{name}c" for name in sources if name != "__main__.py"}


def test_it_imports_without_any_package(archive: Path) -> None:
    asked = [sys.executable, "-I", "-S", "-c", _IMPORT_ALL, str(archive)]
    answer = subprocess.run(asked, capture_output=True, text=True, env={}, timeout=60)
    assert answer.returncode == 0, answer.stderr
    loaded: dict[str, str | None]
    loaded, place = json.loads(answer.stdout)
    assert place == f"{layout.INSIDE}/belljar/guest/cell.py"  # compiled, and with no path of this machine
    assert "belljar.zygote.forkserver" in loaded
    assert "belljar.guest.cell" in loaded
    for name, file in loaded.items():
        assert name.split(".")[0] in sys.stdlib_module_names | {"belljar", "__main__"}, file
        if name.startswith("belljar"):
            assert file is not None
            assert file.startswith(str(archive))


def test_a_runtime_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JailUnavailable, match=r"no runtime at .*belljar setup"):
        inside.inspect_runtime(tmp_path)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 3", "does not run"),
        ("echo hello", "does not run"),
        ('echo \'{"implementation": "pypy", "version": "3.11.1"}\'', "CPython 3.11 or newer"),
        ('echo \'{"implementation": "cpython", "version": "3.10.14"}\'', "CPython 3.11 or newer"),
    ],
)
def test_a_runtime_that_would_not_do_is_refused(tmp_path: Path, script: str, message: str) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    with pytest.raises(JailUnavailable, match=message):
        inside.inspect_runtime(tmp_path)


def test_a_runtime_is_described() -> None:
    runtime = inside.inspect_runtime(Path(sys.prefix))
    assert runtime.version == sys.version.split()[0]
    assert str(runtime.base_prefix) == sys.base_prefix
    assert "pytest" in runtime.ask_for_versions()


def test_a_python_of_another_version_takes_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inside, "MAGIC_NUMBER", b"\1\2\r\n")
    path = tmp_path / "inside.zip"
    with path.open("wb") as file:
        inside.write_zip(file)
    asked = [sys.executable, "-I", "-S", "-c", _IMPORT_ALL, str(path)]
    answer = subprocess.run(asked, capture_output=True, text=True, env={}, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)[1] == f"{path}/belljar/guest/cell.py"
