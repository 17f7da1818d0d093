"""Generators that libraries made when they were imported: no two forks draw the same from any of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from belljar.settings import Settings

SOURCE = Path(__file__).parents[2] / "src"

FORKS = """
import json, os, random
import numpy as np
import sympy.core.random

legacy, other = np.random.RandomState(3), np.random.RandomState(np.random.PCG64(3))
plain, philox = np.random.default_rng(3), np.random.Generator(np.random.Philox(4))
own = random.Random(1)
draws = {
    "numpy.random": np.random.normal,
    "RandomState": legacy.normal,
    "RandomState of another kind": other.normal,
    "default_rng": plain.normal,
    "Philox": philox.normal,
    "random.Random": lambda: own.gauss(0, 1),
    "random": random.random,
    "random, the second of a pair": lambda: random.gauss(0, 1),
    "sympy": sympy.core.random.random,
}
for draw in draws.values():
    draw()  # where normals come in pairs, the second one is kept

from belljar.guest import confine

confine.remember_generators()
for _ in range(2):
    if os.fork() == 0:
        if RENEWED:
            confine.renew_generators()
        print(json.dumps({name: [draw(), draw(), draw()] for name, draw in draws.items()}), flush=True)
        os._exit(0)
    os.wait()
"""


def _draw(*, renewed: bool) -> list[dict[str, list[float]]]:
    python = Settings().runtime / "bin" / "python"
    done = subprocess.run(
        [python, "-c", FORKS.replace("RENEWED", str(renewed))],
        env={"PYTHONPATH": str(SOURCE), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_two_forks_draw_nothing_in_common() -> None:
    one, two = _draw(renewed=True)
    for name in one:
        assert not set(one[name]) & set(two[name]), name


def test_without_a_new_state_they_draw_the_same() -> None:
    one, two = _draw(renewed=False)
    same = {name for name in one if one[name] == two[name]}
    assert same == one.keys() - {"random", "random, the second of a pair"}  # which Python seeds after a fork
