"""What the artists of a chart do not say: what boxes, violins and histograms were made of. Their axes remember it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

boxes: WeakKeyDictionary[Any, list[tuple[Any, str, bool, list[tuple[Any, Any]]]]] = WeakKeyDictionary()
"""By axes, what `bxp` and `violin` were called with: an artist of it, kind, whether it stands upright, and (place,
stats) of each box."""
histograms: WeakSet[Any] = WeakSet()
"""The containers that `hist` has made."""


def watch_axes(axes_module: Any) -> None:
    """Have the axes remember what boxes, violins and histograms were made of: their artists do not say."""
    axes_class = axes_module.Axes
    _wrap(axes_class, "bxp", lambda axes, made, args: _remember_boxes("box", axes, made, args))
    _wrap(axes_class, "violin", lambda axes, made, args: _remember_boxes("violin", axes, made, args))
    _wrap(axes_class, "hist", lambda _, made, __: _remember_bars(made[2]))


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


def _remember_bars(patches: Any) -> None:
    several = patches if not hasattr(patches, "patches") and hasattr(patches, "__len__") else [patches]
    for container in several:
        if hasattr(container, "patches"):
            histograms.add(container)


def _remember_boxes(kind: str, axes: Any, made: Any, given: tuple[Any, Any]) -> None:
    args, kwargs = given
    stats = list(args[0] if args else kwargs["bxpstats" if kind == "box" else "vpstats"])
    positions = args[1] if len(args) > 1 else kwargs.get("positions")
    places = list(range(1, len(stats) + 1)) if positions is None else list(positions)
    is_upright = kwargs.get("orientation", "vertical") != "horizontal" and kwargs.get("vert") is not False
    artists = made["medians"] if kind == "box" else made["bodies"]
    if artists:
        boxes.setdefault(axes, []).append(
            (artists[0], kind, is_upright, list(zip(places, stats, strict=False)))
        )
