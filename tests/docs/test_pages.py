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

FOLLOWED = [page for page in PAGES if page.name in {"tutorial.md", "models.md"}]


@pytest.mark.skipif(
    os.geteuid() != 0, reason="a network of its own, with the ports that pages name, takes root"
)
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.name)
def test_the_page_can_be_followed(page: Path, tmp_path: Path) -> None:
    wheels(tmp_path / "wheels", "rich", "markdown-it-py", "mdurl", "pygments")
    shell = Shell(tmp_path)
    try:
        printed = ""
        for block in blocks(page):
            if block.saved_as is not None:
                save(block, shell.work)
            elif block.language == "sh":
                printed = shell.run(block.text)
            else:
                assert block.language == "text", block
                assert re.fullmatch(pattern(block.text), printed.rstrip("\n") + "\n", re.DOTALL), (
                    block,
                    printed,
                )
    finally:
        shell.close()


def pattern(promised: str) -> str:
    """What is printed, where a line of three dots stands for any lines."""
    return "".join(
        ".*" if line == "...\n" else re.escape(line) for line in promised.splitlines(keepends=True)
    )


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


def wheels(folder: Path, *names: str) -> None:
    """Packages of this environment, as wheels, so that no index is asked."""
    folder.mkdir()
    for name in names:
        found = importlib.metadata.distribution(name)
        assert found.files is not None
        version = f"{found.metadata['name'].replace('-', '_').lower()}-{found.version}"
        with zipfile.ZipFile(folder / f"{version}-py3-none-any.whl", "w") as wheel:
            for file in found.files:
                kept = ".." not in file.parts and "__pycache__" not in file.parts
                if kept and file.name not in {"INSTALLER", "REQUESTED", "direct_url.json"}:
                    wheel.write(str(file.locate()), str(file))
