"""The libraries of the runtime do in the jail what `scripts/collect-syscalls` saw them do outside of it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from jail import opened

from belljar import link
from belljar.records import MIB

pytestmark = pytest.mark.anyio

LIBRARIES = sorted((Path(__file__).parent / "libraries").glob("*.py"))


WANTED = Path(__file__).parents[2] / "locks" / "runtime-data.in"
IMPORTED_AS = {
    "scikit-learn": "sklearn",
    "pillow": "PIL",
    "python-docx": "docx",
    "python-pptx": "pptx",
    "beautifulsoup4": "bs4",
    "pyyaml": "yaml",
    "python-dateutil": "dateutil",
}
FONTS = {"manimgx-fonts", "noto-cjk-sans-otc", "noto-cjk-sans-jp-bold"}
"""Nobody imports these: test_scripts.py draws with them."""


def test_there_are_programs_for_the_libraries() -> None:
    assert len(LIBRARIES) >= 38
    lines = [line for line in WANTED.read_text().splitlines() if line and not line.startswith("#")]
    imported = {
        module.partition(".")[0]
        for path in LIBRARIES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in (
            [name.name for name in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        )
    }
    assert set(lines) >= FONTS
    assert {name for name in lines if name not in FONTS} - {
        name for name in lines if IMPORTED_AS.get(name, name) in imported
    } == set()


@pytest.mark.parametrize("path", LIBRARIES, ids=lambda path: path.stem)
async def test_a_library_does_not_notice(preloaded: link.Keeper, path: Path) -> None:
    async with opened(preloaded, memory_bytes=1024 * MIB) as session:
        result = await session.run(path.read_text(), timeout=50)
        assert result.outcome.status == "completed", (result.outcome, result.stderr[-2000:])
