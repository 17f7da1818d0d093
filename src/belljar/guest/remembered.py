"""What the artists of a chart do not say: what boxes, violins, histograms and pies were made of. Kept beside them.

Artists are held weakly: they know their axes, which would never go otherwise.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

boxes: WeakKeyDictionary[Any, list[tuple[ref[Any], ref[Any], str, bool, list[tuple[Any, Any]]]]] = (
    WeakKeyDictionary()
)
"""By axes, what `bxp` and `violin` were called with: an artist of it, the one that has its colour, kind, whether it
stands upright, and (place, stats) of each box."""
bins: WeakKeyDictionary[Any, tuple[Any, Any]] = WeakKeyDictionary()
"""By the first artist of a histogram, its values and the edges of its bins."""
pies: WeakKeyDictionary[Any, list[tuple[list[ref[Any]], Any, list[str]]]] = WeakKeyDictionary()
"""By axes, what `pie` was called with: the wedges, their values and their labels."""


def watch_axes(module: Any) -> None:
    """Of matplotlib.axes._axes: have the axes remember."""
    _wrap(module.Axes, "bxp", lambda axes, made, args: _remember_boxes("box", axes, made, args))
    _wrap(module.Axes, "violin", lambda axes, made, args: _remember_boxes("violin", axes, made, args))
    _wrap(module.Axes, "hist", lambda _, made, __: _remember_bins(*made))
    _wrap(module.Axes, "pie", _remember_pie)


def _wrap(owner: Any, name: str, then: Callable[[Any, Any, tuple[Any, Any]], None]) -> None:
    method = getattr(owner, name)

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = method(self, *args, **kwargs)
        # The chart is what counts, and it is there: what cannot be remembered of it is told as what its artists say.
        with contextlib.suppress(Exception):
            then(self, made, (args, kwargs))
        return made

    setattr(owner, name, wrapped)


def _remember_bins(values: Any, edges: Any, made: Any) -> None:
    is_one = hasattr(made, "patches") or len(made) == 0 or not hasattr(made[0], "patches")
    is_step = is_one and not hasattr(made, "patches")
    for own, drawn in (
        [(values, made)] if is_one and not is_step else zip(_rows(values, made), made, strict=True)
    ):
        bins[drawn.patches[0] if hasattr(drawn, "patches") else _first(drawn)] = (own, edges)


def _rows(values: Any, made: Any) -> Any:
    """Values of each of several histograms; of one alone they are no list of lists."""
    return [values] if len(made) == 1 and getattr(values[0], "ndim", 0) == 0 else values


def _first(drawn: Any) -> Any:
    return drawn[0] if isinstance(drawn, list) else drawn


def _remember_boxes(kind: str, axes: Any, made: Any, given: tuple[Any, Any]) -> None:
    args, kwargs = given
    stats = list(args[0] if args else kwargs["bxpstats" if kind == "box" else "vpstats"])
    positions = args[1] if len(args) > 1 else kwargs.get("positions")
    places = list(range(1, len(stats) + 1)) if positions is None else list(positions)
    is_upright = kwargs.get("orientation", "vertical") != "horizontal" and kwargs.get("vert") is not False
    artists = made["medians"] if kind == "box" else made["bodies"]
    if artists:
        filled = (made["boxes"] or artists)[0] if kind == "box" else artists[0]
        rows = list(zip(places, stats, strict=False))
        boxes.setdefault(axes, []).append((ref(artists[0]), ref(filled), kind, is_upright, rows))


def _remember_pie(axes: Any, made: Any, given: tuple[Any, Any]) -> None:
    args, kwargs = given
    values = getattr(made, "values", None)  # since matplotlib 3.11
    if values is None:
        values = [float(value) for value in (args[0] if args else kwargs["x"])]
    labels = args[2] if len(args) > 2 else kwargs.get("labels")
    wedges = [ref(wedge) for wedge in made[0]]
    pies.setdefault(axes, []).append((wedges, list(values), [str(label) for label in labels or ()]))
