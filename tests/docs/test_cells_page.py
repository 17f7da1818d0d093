"""The table of docs/cells.md: what it says that Belljar shows of each cell is what Belljar shows."""

from __future__ import annotations

import importlib.util
import json
import re
from types import ModuleType

import anyio
import pytest
from pages import ROOT, blocks

from belljar import Sandbox

PAGE = (ROOT / "docs" / "cells.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_cells", ROOT / "bench" / "cells.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def _rows() -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]
    return [re.split(r" (?<!\\)\| ?", line.strip("|"))[:5] for line in lines]


def test_each_cell_shows_what_the_table_says(bench: ModuleType) -> None:
    cells, rows = bench.cells(), _rows()
    assert len(cells) == len(rows) == 100
    shown = anyio.run(bench.of_belljar, [cell.code for cell in cells])
    for number, (cell, row, outputs) in enumerate(zip(cells, rows, shown, strict=True), 1):
        ours = bench.in_a_cell(bench.described(outputs))
        said = row[2].strip() if row[3].strip() == bench.SAME else row[3].strip()
        assert said == ours, (number, cell.code)


def test_each_difference_is_explained(bench: ModuleType) -> None:
    for cell, row in zip(bench.cells(), _rows(), strict=True):
        assert (row[3].strip() == bench.SAME) == (not cell.why), cell.code
        assert row[4].strip() == cell.why, cell.code


def test_what_the_page_names_is_there() -> None:
    from belljar.guest import ipython, shell

    for module, names in re.findall(
        r"`from (IPython\.\w+) import …` works without IPython: (.*?);", PAGE, re.DOTALL
    ):
        for name in re.findall(r"`(\w+)`", names):
            assert name in ipython.MODULES[module], name
    table = PAGE.partition("## What is understood")[2].partition("`get_ipython()`")[0]
    for sign, name in re.findall(r"`(%%?)(\w+)", table):
        assert name in (shell.CELL_MAGICS if sign == "%%" else shell.LINE_MAGICS), sign + name


def test_a_table_is_told_as_the_page_shows() -> None:
    (told,) = (block.text for block in blocks(ROOT / "docs" / "cells.md") if block.language == "json")
    with Sandbox() as box:
        result = box.run("import pandas as pd\npd.DataFrame({'a': [1, 2]})")
    [shown] = result.document.outputs
    assert json.loads(told) == json.loads(shown.data["application/vnd.belljar.table+json"])
