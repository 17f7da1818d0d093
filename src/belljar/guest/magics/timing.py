"""How long code takes."""

from __future__ import annotations

import ast
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from belljar.guest import notebook
from belljar.guest.magics import Cell, Line, UsageError, number, options_of

if TYPE_CHECKING:
    from belljar.guest.shell import Shell


def _seconds(value: float, digits: int = 3) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("μs", 1e-6)):
        if value >= size:
            return f"{value / size:.{digits}g} {unit}"
    return f"{value / 1e-9:.{digits}g} ns"


def _span(value: float) -> str:
    if value < 60:
        return _seconds(value)
    minutes, seconds = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours}h ' if hours else ''}{minutes}min {seconds}s"


def _timed(shell: Shell, code: str, line: int, column: int) -> Any:
    before, started = os.times(), time.perf_counter()
    try:
        return shell.execute(code, line, column)
    finally:
        wall, after = time.perf_counter() - started, os.times()
        user, system = after.user - before.user, after.system - before.system
        print(f"CPU times: user {_span(user)}, sys: {_span(system)}, total: {_span(user + system)}")
        print(f"Wall time: {_span(wall)}")


def _time(shell: Shell, line: str) -> Any:
    return _timed(shell, line, shell.place()[1], _column(shell, line))


def _time_cell(shell: Shell, line: str, cell: str) -> Any:
    if line:
        raise UsageError("%%time takes nothing on its own line; %time does")
    return _timed(shell, cell, shell.place()[1] + 1, 0)


def _column(shell: Shell, text: str) -> int:
    """Where `text` stands in the line of the cell that calls us."""
    import linecache

    return max(0, linecache.getline(*shell.place()).rfind(text))


class TimeitResult:
    """What %timeit has measured: seconds for one loop, of each run."""

    def __init__(self, loops: int, runs: list[float]) -> None:
        self.loops, self.repeat, self.all_runs = loops, len(runs), runs
        self.timings = [seconds / loops for seconds in runs]
        self.best, self.worst = min(self.timings), max(self.timings)
        self.average = sum(self.timings) / len(runs)
        self.stdev = (sum((one - self.average) ** 2 for one in self.timings) / len(runs)) ** 0.5

    def __str__(self) -> str:
        runs, loops = "run" if self.repeat == 1 else "runs", "loop" if self.loops == 1 else "loops"
        return (
            f"{_seconds(self.average)} ± {_seconds(self.stdev)} per loop "
            f"(mean ± std. dev. of {self.repeat} {runs}, {self.loops:,} {loops} each)"
        )

    def __repr__(self) -> str:
        return f"<TimeitResult : {self}>"


_TEMPLATE = """
def inner(_iterations, _clock):
    setup
    _began = _clock()
    for _ in _iterations:
        statement
    return _clock() - _began
"""


def _measured(
    shell: Shell, options: dict[str, str], setup: str, statement: str, line: int, column: int
) -> Any:
    from itertools import repeat as iterations

    filename = shell.place()[0]
    tree = ast.parse(_TEMPLATE)
    function: Any = tree.body[0]
    body = function.body
    loop = body[2]
    loop.body = _statements(statement, filename, line, column)
    body[:1] = _statements(setup, filename, max(1, line - 1), 0) if setup else []
    scope: dict[str, Any] = {}
    exec(
        compile(ast.fix_missing_locations(tree), filename, "exec"), shell.user_ns, scope
    )  # the user's own code
    inner = scope["inner"]
    clock = time.perf_counter
    loops, runs = number(options, "n", 0), number(options, "r", 7)
    if not loops:
        loops = 1
        while inner(iterations(None, loops), clock) < 0.2 and loops < 10**9:
            loops *= 10
    result = TimeitResult(loops, [inner(iterations(None, loops), clock) for _ in range(runs)])
    if "q" not in options:
        print(result)
    return result if "o" in options else None


def _statements(code: str, filename: str, line: int, column: int) -> list[ast.stmt]:
    """The syntax of code that stands at that place of a cell."""
    tree = notebook.parsed(code if code.strip() else "pass", filename, {}, line, column)
    return list(tree.body)


def _timeit(shell: Shell, line: str) -> Any:
    options, statement = options_of(line, "qotc", "nrp")
    if not statement:
        raise UsageError("%timeit: a statement is missing")
    return _measured(shell, options, "", statement, shell.place()[1], _column(shell, statement))


def _timeit_cell(shell: Shell, line: str, cell: str) -> Any:
    options, setup = options_of(line, "qotc", "nrp")
    return _measured(shell, options, setup, cell, shell.place()[1] + 1, 0)


def _prun(shell: Shell, line: str) -> None:
    _profiled(shell, line, shell.place()[1], _column(shell, line))


def _prun_cell(shell: Shell, line: str, cell: str) -> None:
    _profiled(shell, cell, shell.place()[1] + 1, 0)


def _profiled(shell: Shell, code: str, line: int, column: int) -> None:
    import cProfile
    import pstats

    profile = cProfile.Profile()
    try:
        profile.runcall(shell.execute, code, line, column)
    finally:
        pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(30)


LINES: dict[str, Line] = {
    "time": _time,
    "timeit": _timeit,
    "prun": _prun,
}
CELLS: dict[str, Cell] = {
    "time": _time_cell,
    "timeit": _timeit_cell,
    "prun": _prun_cell,
}
