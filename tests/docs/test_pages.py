"""Pages are followed as they stand: their files saved, their commands run, and what they promise compared."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import tomllib
import zipfile
from pathlib import Path

import pytest
from pages import PAGES, Block, Shell, blocks

ELSEWHERE = {
    ("README.md", "python"): "test_readme.py",
    ("library.md", "python"): "test_library_page.py",
    ("adapters.md", "python"): "tests/adapters/page.py",
    ("install.md", "sh"): "test_install_page.py, and make test-install, test-image and test-service",
    ("install.md", "nginx"): "make test-install",
    **{("mcp.md", language): "test_mcp_page.py" for language in ("json", "yaml", "python", "sh")},
    ("cells.md", "json"): "test_cells_page.py",
    ("reference.md", "json"): "test_reference.py",
    ("reference.md", "toml"): "test_reference.py",
    ("performance.md", "sh"): "test_readme.py",
    ("architecture.md", "text"): "a drawing",
}
"""Blocks that a test of their own looks at."""
FOLLOWED = [
    page for page in PAGES if any((page.name, block.language) not in ELSEWHERE for block in blocks(page))
]
_THREADS = "import _thread, time\nfor _ in range(3):\n    _thread.start_new_thread(time.sleep, (1e6,))\n"


@pytest.mark.skipif(
    os.geteuid() != 0, reason="a network of its own, with the ports that pages name, takes root"
)
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.name)
def test_the_page_can_be_followed(page: Path, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("rich", "markdown-it-py", "mdurl", "pygments"):
        packed(wheels, name)
    for name, code in {"pandas": "", "scikit_learn": "", "polars": _THREADS}.items():
        stand_in(wheels, name, "sklearn" if name == "scikit_learn" else name, code)
    shell = Shell(tmp_path)
    try:
        if "ollama serve" not in page.read_text():
            shell.run("ollama serve")  # it runs as a service, as its installer has it
        printed = ""
        for block in blocks(page):
            if (page.name, block.language) in ELSEWHERE:
                continue
            if block.saved_as is not None:
                save(block, shell.work)
            elif block.language == "sh":
                printed = shell.run(block.text)
            else:
                assert block.language == "text", block
                assert re.fullmatch(pattern(block), printed.rstrip("\n") + "\n", re.DOTALL), (block, printed)
    finally:
        shell.close()


def pattern(promised: Block) -> str:
    """What is printed, where a line of three dots stands for any lines, and numbers of an example for others."""
    lines = promised.text.splitlines(keepends=True)
    whole = "".join(".*" if line == "...\n" else re.escape(line) for line in lines)
    return re.sub(r"\d+", r"\\d+", re.sub(r"(\\ )+", " +", whole)) if promised.is_example else whole


def save(block: Block, folder: Path) -> None:
    assert block.saved_as is not None
    match block.language:
        case "python":
            ast.parse(block.text)
        case "toml":
            tomllib.loads(block.text)
        case "json":
            json.loads(block.text)
    (folder / block.saved_as).write_text(block.text)


def packed(folder: Path, name: str) -> None:
    """A package of this environment, as a wheel, so that no index is asked."""
    found = importlib.metadata.distribution(name)
    assert found.files is not None
    wheel_name = f"{found.metadata['name'].replace('-', '_').lower()}-{found.version}-py3-none-any.whl"
    with zipfile.ZipFile(folder / wheel_name, "w") as wheel:
        for file in found.files:
            kept = ".." not in file.parts and "__pycache__" not in file.parts
            if kept and file.name not in {"INSTALLER", "REQUESTED", "direct_url.json"}:
                wheel.write(str(file.locate()), str(file))


def stand_in(folder: Path, name: str, module: str, code: str) -> None:
    """A small package by the name of a large one."""
    info = f"{name}-1.0.dist-info"
    content = {
        f"{module}/__init__.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": f"{module}/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
    }
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in content.items():
            wheel.writestr(path, text)
