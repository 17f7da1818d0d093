"""What `belljar run -c 'print(1)'` takes from the shell's point of view, beside Python itself.

    .venv/bin/python bench/command.py

A server of its own is brought up, and the ways take turns, so that a busy machine slows all alike: read the ratios.
Each is a whole process, from its start to its end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

BELLJAR = str(Path(sys.executable).with_name("belljar"))
PYTHON = sys.executable
CODE = "print(1)"
PAUSE_SECONDS = 0.05
"""Between turns: the session that was used is made anew meanwhile, as it is between two calls that somebody types."""

WAYS = {
    "python -c": [PYTHON, "-c", CODE],
    "python -I -S -c": [PYTHON, "-I", "-S", "-c", CODE],
    "belljar run, warm": [BELLJAR, "run", "-c", CODE],
    "belljar run, warm, with a file": [BELLJAR, "run", "-f", __file__, "-c", CODE],
    "belljar run --no-server": [BELLJAR, "run", "--no-server", "-c", CODE],
    "belljar --version": [BELLJAR, "--version"],
}
SLOW = ("belljar run --no-server", "belljar --version")


def timed(command: list[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=100)
    turns = parser.parse_args().turns
    with tempfile.TemporaryDirectory() as state:
        environment = os.environ | {"BELLJAR_STATE_DIR": state}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has been compiled once
        subprocess.run([BELLJAR, "up"], check=True, env=environment)
        try:
            time.sleep(10)  # until all tiers are there
            taken: dict[str, list[float]] = {way: [] for way in WAYS}
            for turn in range(turns):
                for way, command in WAYS.items():
                    if way in SLOW and turn % 10:
                        continue
                    taken[way].append(timed(command, environment))
                    time.sleep(PAUSE_SECONDS)
        finally:
            subprocess.run([BELLJAR, "down"], check=True, env=environment)
    table = Table("", "median, ms", "fastest, ms", "of python -c")
    usual = statistics.median(taken["python -c"])
    for way, times in taken.items():
        median = statistics.median(times)
        table.add_row(way, f"{median:.1f}", f"{min(times):.1f}", f"×{median / usual:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
