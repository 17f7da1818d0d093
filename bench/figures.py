"""Are the pictures of figures that are drawn once what matplotlib makes? On the figures of its own tests.

    .venv/share/belljar/runtimes/data/bin/python bench/figures.py

What draws once is `belljar.guest.canvases`. Each figure is saved, drawn ahead without an output, and saved again: that
has to change nothing. And each is cut to what is on it here and by matplotlib, which has to lose nothing. It takes some
minutes.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.backends.backend_agg
import numpy
from matplotlib import pyplot
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "src"), str(ROOT / f".venv/lib/python3.{sys.version_info.minor}/site-packages")]

from _pytest.outcomes import OutcomeException  # noqa: E402 - found by the line above, as is ours

from belljar.guest import canvases  # noqa: E402

SECONDS = 20
"""For one test."""
MARGIN_PIXELS = 2
ELSEWHERE = (
    "backend",
    "font_manager",
    "basic",
    "usetex",
    "sphinx",
    "testing",
    "animation",
    "pickle",
    "subprocess",
)
"""Tests that make no figures of Agg, or start programs."""


class TooLong(Exception):
    """A test is given up."""


def give_up(*_: object) -> None:
    raise TooLong


def figures(folder: Path) -> Iterator[tuple[str, Any]]:
    """The figures that matplotlib's tests leave open, one after the other, with the name of the test."""
    for name in sorted(path.stem for path in (folder / "tests").glob("test_*.py")):
        if any(part in name for part in ELSEWHERE):
            continue
        try:
            module = importlib.import_module(f"matplotlib.tests.{name}")
        except (Exception, OutcomeException) as error:  # noqa: BLE001 - one that wants what is not installed
            print(f"{name} cannot be imported: {error}", file=sys.stderr)
            continue
        for test, function in list(vars(module).items()):
            bare = inspect.unwrap(function) if test.startswith("test_") and callable(function) else None
            if bare is None or inspect.signature(bare).parameters:
                continue
            pyplot.close("all")
            matplotlib.rcdefaults()
            matplotlib.use("Agg")
            signal.alarm(SECONDS)
            try:
                with contextlib.redirect_stdout(None):
                    bare()
                for number in pyplot.get_fignums():
                    yield f"{name}.{test}", pyplot.figure(number)
            except (Exception, OutcomeException):  # noqa: BLE001, S112 - it wants LaTeX, say, or is one of an error
                continue
            finally:
                signal.alarm(0)


def raw(figure: Any) -> bytes:
    saved = io.BytesIO()
    figure.savefig(saved, format="raw")
    return saved.getvalue()


def content(png: bytes) -> tuple[int, int]:
    """Width and height of what is not the colour of the upper left corner."""
    pixels = numpy.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).copy().view(numpy.uint32)[..., 0]
    seen = pixels != pixels[0, 0]
    rows, columns = numpy.flatnonzero(seen.any(axis=1)), numpy.flatnonzero(seen.any(axis=0))
    return (columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1) if len(rows) else (0, 0)


def compared(name: str, figure: Any) -> Iterator[str]:
    """What becomes of a figure, in words."""
    figure.set_layout_engine("none")
    once = raw(figure)
    figure.draw_without_rendering()
    is_same = once == raw(figure)
    yield "drawn once and twice: the same" if is_same else "drawn once and twice: not the same"
    save = functools.partial(type(figure.canvas).print_figure, figure.canvas)
    if (cut := canvases.drawn_once(figure, save, None)) is None:
        yield "left to matplotlib"
        return
    figure.savefig(theirs := io.BytesIO(), format="png", bbox_inches="tight")
    sizes = content(cut), content(theirs.getvalue())
    is_whole = all(their - own <= MARGIN_PIXELS for own, their in zip(*sizes, strict=True))
    yield "cut: all there" if is_whole else "cut: less is there"
    if not (is_same and is_whole):
        print(f"{name}: content of {sizes[0]} and {sizes[1]} pixels", file=sys.stderr)


def main() -> None:
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, give_up)
    canvases.watch_agg(matplotlib.backends.backend_agg)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        # The package itself refuses without the pictures that it compares with, which are not installed.
        shutil.copytree(Path(matplotlib.__file__).parent / "tests", Path(place) / "tests")
        (Path(place) / "tests/__init__.py").write_text("")
        matplotlib.__path__.insert(0, place)
        os.chdir(place)
        for name, figure in figures(Path(place)):
            try:
                counts.update(compared(name, figure))
            except Exception:  # noqa: BLE001 - it cannot be drawn at all
                counts["not to be drawn"] += 1
    for what, count in sorted(counts.items()):
        print(f"{count:6} {what}", flush=True)
    os._exit(0)  # what tests have left has nothing to say any more


if __name__ == "__main__":
    main()
