"""What a sandbox of the library takes, from opening it to its end, beside a new process of Python.

    .venv/bin/python bench/library.py

Each runs one program; the ways take turns but for the first sandbox, which there is once in a process.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import anyio
from rich.console import Console
from rich.table import Table

from belljar import AsyncSandbox, Sandbox
from belljar.settings import Settings

PROGRAMS = {
    "print(1+1)": "print(1+1)",
    "pandas": "import pandas as pd; print(pd.Series([1, 2]).sum())",
}
WARM_SECONDS = 15
"""For the libraries to be imported ahead, which the second sandbox sets off."""


def sandboxed(code: str) -> None:
    with Sandbox() as box:
        assert box.run(code).ok


def cold(code: str) -> None:
    python = Settings().runtime / "bin" / "python"
    subprocess.run([python, "-c", code], check=True, stdout=subprocess.DEVNULL)


def timed(act: Callable[[str], None], code: str) -> float:
    started = time.perf_counter()
    act(code)
    return (time.perf_counter() - started) * 1000


async def at_once(count: int, code: str) -> float:
    """Milliseconds for so many, in a keeper that has to be started first."""

    async def use() -> None:
        async with AsyncSandbox() as box:
            assert (await box.run(code)).ok

    started = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(use)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--at-once", type=int, default=64)
    asked = parser.parse_args()
    table = Table("", "median, ms", "of cold python")
    first = timed(sandboxed, PROGRAMS["print(1+1)"])
    sandboxed("1")
    time.sleep(WARM_SECONDS)
    for name, code in PROGRAMS.items():
        taken: dict[str, list[float]] = {"cold": [], "sandbox": []}
        for _ in range(asked.turns):
            taken["cold"].append(timed(cold, code))
            taken["sandbox"].append(timed(sandboxed, code))
        usual, median = (statistics.median(times) for times in taken.values())
        table.add_row(f"cold python, {name}", f"{usual:.1f}", "×1.0")
        table.add_row(f"a further Sandbox, {name}", f"{median:.1f}", f"×{usual / median:.1f}")
    table.add_row("the first Sandbox of a program, print(1+1)", f"{first:.0f}", "")
    took = anyio.run(at_once, asked.at_once, PROGRAMS["print(1+1)"])
    table.add_row(f"{asked.at_once} AsyncSandboxes at once, print(1+1)", f"{took:.0f}", "")
    Console(width=100, file=sys.stdout).print(table)


if __name__ == "__main__":
    main()
