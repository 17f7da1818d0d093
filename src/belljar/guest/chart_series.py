"""What was drawn on one pair of axes, read off its artists series by series.

A series of more points than there is room for is told by some at even distances, by its lowest and its highest, with
how many there are.
"""

from __future__ import annotations

import functools
import itertools
import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from belljar.guest import remembered
from belljar.guest.scales import (
    MOST_TICKS,
    Document,
    Scale,
    Value,
    extreme_places,
    extremes,
    number,
    sample,
    text,
)

MOST_POINTS = 100
MOST_CELLS = 400
MOST_SERIES = 40


class Drawn:
    """The series of one pair of axes, on scales that its places are read by."""

    def __init__(self, axes: Any, x: Scale, y: Scale, most_points: int) -> None:
        self.axes, self.x, self.y = axes, x, y
        self._most = most_points
        self.series: list[Document] = []
        self._used: set[int] = set()
        """Artists that were told of, by identity."""
        self._by_colour: dict[tuple[Any, bool], str] = {}
        """What the legend says of a colour, and whether of lines."""
        # Facets have one legend for all of them.
        for legend in (axes.get_legend(), *axes.get_figure().legends):
            for handle, words in zip(_handles(legend), legend.get_texts(), strict=False) if legend else ():
                if (colour := _colour(handle)) is not None:
                    self._by_colour.setdefault((colour, _is_line(handle)), text(words.get_text()))
        for read in (
            self._boxes,
            self._pies,
            self._containers,
            self._collections,
            self._lines,
            self._patches,
            self._images,
            self._tables,
        ):
            read()

    def _add(self, kind: str, name: str | None, **more: Any) -> None:
        if len(self.series) >= MOST_SERIES:
            self.series.append({"kind": kind})  # is counted, and no more
            return
        found = {"kind": kind, "name": name or None, **more}
        self.series.append({key: value for key, value in found.items() if value is not None and value != {}})

    def _name(self, artist: Any, colour_of: Any = None) -> str | None:
        label = text(artist.get_label() or "")
        if label and not label.startswith("_"):
            return label
        artist = colour_of if colour_of is not None else artist
        colour = _colour(artist)
        if _is_line(artist) or hasattr(artist, "get_patch_transform"):
            return self._by_colour.get((colour, _is_line(artist)))  # no line is called as a bar is
        return self._by_colour.get((colour, False)) or self._by_colour.get((colour, True))

    def _chosen(self, values: Any) -> Sequence[int]:
        """The places of the points that are told, the lowest and the highest among them."""
        if not self._most:
            return []
        chosen = sample(len(values), self._most)
        return chosen if len(chosen) == len(values) else sorted({*chosen, *extreme_places(values)})

    def _points(
        self,
        xs: Any,
        ys: Any,
        chosen: Sequence[int] | None = None,
        *,
        named_x: bool = False,
        named_y: bool = False,
    ) -> Document:
        """Columns of a series of places, those that are `chosen` or all, and the extremes of the y."""
        count = min(len(xs), len(ys))
        if chosen is None:
            chosen = self._chosen(ys)
        of_x = self.x.category if named_x else self.x.value
        of_y = self.y.category if named_y else self.y.value
        found = {
            "x": [of_x(_float(xs[at])) for at in chosen],
            "y": [of_y(_float(ys[at])) for at in chosen],
            "count": count,
            **extremes(ys),
        }
        if len(chosen) < count:
            found["is_sampled"] = True
        return found

    # -- by kind ---------------------------------------------------------------------------------------------

    def _boxes(self) -> None:
        for of_artist, of_filled, kind, is_upright, rows in remembered.boxes.get(self.axes, ()):
            artist, filled = of_artist(), of_filled()
            if artist is None or artist.axes is not self.axes or artist.figure is None:
                continue  # removed, or the axes were cleared
            names = self.x if is_upright else self.y
            told = [_box(kind, names.category(float(place)), stats) for place, stats in rows[:MOST_POINTS]]
            self._add(
                kind,
                self._name(artist, filled) if kind == "box" else None,
                boxes=told if self._most else [],
                count=len(rows),
                is_horizontal=True if not is_upright else None,
            )
            self._used.add(id(artist))
        if any(series["kind"] in {"box", "violin"} for series in self.series):
            # Whiskers, caps and bodies: what they are made of has been told.
            self._used.update(id(line) for line in self.axes.lines)
            self._used.update(id(patch) for patch in self.axes.patches)
            self._used.update(
                id(one) for one in self.axes.collections if type(one).__name__ != "PathCollection"
            )

    def _containers(self) -> None:
        for container in self.axes.containers:
            kind = type(container).__name__
            if kind == "BarContainer":
                self._bars(container)
            elif kind == "ErrorbarContainer":
                line, caps, bars = container.lines
                self._used.update(map(id, (*caps, *bars)))
                if line is not None:
                    self._used.add(id(line))
                    name = self._name(container, line)
                    points = self._points(*line.get_data(orig=False), named_x=True)
                    self._add(_kind_of_line(line), name, has_error_bars=True, **points)
            elif kind == "StemContainer":
                self._used.update(map(id, container))
                points = self._points(*container.markerline.get_data(orig=False))
                self._add("stem", self._name(container, container.markerline), **points)

    def _bars(self, container: Any) -> None:
        bars = [bar for bar in container.patches if bar.axes is self.axes]
        self._used.update(map(id, container.patches))
        if container.errorbar is not None:
            line, caps, ends = container.errorbar.lines
            self._used.update(map(id, (*caps, *ends, *([line] if line is not None else ()))))
            self._used.add(id(container.errorbar))
        if not bars:
            return
        is_upright = getattr(container, "orientation", None) != "horizontal"
        lefts, bottoms = [bar.get_x() for bar in bars], [bar.get_y() for bar in bars]
        widths, heights = [bar.get_width() for bar in bars], [bar.get_height() for bar in bars]
        starts, sizes, bases, values = (
            (lefts, widths, bottoms, heights) if is_upright else (bottoms, heights, lefts, widths)
        )
        middles = [start + size / 2 for start, size in zip(starts, sizes, strict=True)]
        names = self.x if is_upright else self.y
        name = self._name(container, bars[0])
        if (remembered_bins := remembered.bins.get(bars[0])) is not None:
            if (label := text(bars[0].get_label() or "")) and not label.startswith("_"):
                name = label  # `hist` gives it to the first bar, and not to all together
            kind, edges = "histogram", list(remembered_bins[1])
            middles = [(a + b) / 2 for a, b in itertools.pairwise(edges)]
        elif not names.names and names.kind != "date" and _touch(starts, sizes):
            kind, edges = "histogram", [*starts, starts[-1] + sizes[-1]]
        else:
            kind, edges = "bar", []
        xs, ys = (middles, values) if is_upright else (values, middles)
        chosen = self._chosen(values)
        points = self._points(xs, ys, chosen, named_x=is_upright, named_y=not is_upright)
        points |= extremes(values)
        if kind == "histogram" and len(edges) <= self._most:
            points["edges"] = [names.value(edge) for edge in edges]
        if kind == "bar" and any(abs(float(base)) > 1e-12 for base in bases):
            along = self.y if is_upright else self.x
            points["base"] = [along.value(bases[at]) for at in chosen]
            if along.kind == "date":  # how long they are is no date
                points["y" if is_upright else "x"] = [number(values[at]) for at in chosen]
        self._add(kind, name, is_horizontal=True if not is_upright else None, **points)

    def _pies(self) -> None:
        for parts, values, labels in remembered.pies.get(self.axes, ()):
            wedges = [wedge for part in parts if (wedge := part()) is not None]
            is_there = len(wedges) == len(parts) > 0
            if is_there and wedges[0].axes is self.axes and wedges[0].figure is not None:
                self._pie(wedges, values, labels)

    def _pie(self, wedges: Any, values: Any, labels: list[str]) -> None:
        self._used.update(map(id, wedges))
        if not any(labels) or len(labels) < len(wedges):
            labels = [self._by_colour.get((_colour(wedge), False), "") for wedge in wedges]
        fractions = [(wedge.theta2 - wedge.theta1) / 360 for wedge in wedges]
        chosen = sample(len(wedges), self._most) if self._most else []
        self._add(
            "pie",
            None,
            x=[text(labels[at]) or None for at in chosen],
            y=[number(values[at]) for at in chosen],
            shares=[number(round(float(fractions[at]), 6)) for at in chosen],
            count=len(wedges),
            **extremes(values),
        )

    def _lines(self) -> None:
        for line in self.axes.lines:
            if id(line) in self._used or not line.get_visible():
                continue
            if type(line).__name__ == "AxLine":
                self._add("reference", self._name(line))
                continue
            if hasattr(line, "get_data_3d"):
                self._add(_kind_of_line(line), self._name(line), **self._solid_points(*line.get_data_3d()))
                continue
            xs, ys = line.get_data(orig=False)
            if not self._is_told(line, xs, ys):
                continue
            transform = line.get_transform()
            if transform == self.axes.get_yaxis_transform(which="grid") and len(xs) == 2:
                self._add("reference", self._name(line), y=[self.y.value(ys[0])])
            elif transform == self.axes.get_xaxis_transform(which="grid") and len(xs) == 2:
                self._add("reference", self._name(line), x=[self.x.value(xs[0])])
            elif transform == self.axes.transData:
                self._add(
                    _kind_of_line(line), self._name(line), **self._points(xs, ys, named_x=bool(self.x.names))
                )

    def _is_told(self, line: Any, xs: Any, ys: Any) -> bool:
        """Whether a line is more than a part of something else: a handle for the legend, what seaborn draws into
        violins, the error of a bar."""
        if extremes(xs) == {} or extremes(ys) == {}:
            return False
        kinds = {series["kind"] for series in self.series}
        if "violin" in kinds:
            return False
        is_straight = len(xs) <= 3 and (len(set(xs)) == 1 or len(set(ys)) == 1)
        return not ("bar" in kinds and is_straight and str(line.get_label()).startswith("_"))

    def _collections(self) -> None:
        for one in self.axes.collections:
            if id(one) in self._used or not one.get_visible():
                continue
            kind = type(one).__name__
            if kind == "PathCollection":
                self._scatter(one)
            elif kind == "Path3DCollection":
                self._add("scatter", self._name(one), **self._solid_points(*one._offsets3d))
            elif kind == "FillBetweenPolyCollection" or (
                kind == "PolyCollection" and one.get_array() is None
            ):
                self._area(one)
            elif kind in {"QuadMesh", "PolyQuadMesh"}:
                self._mesh(one)
            elif kind == "PolyCollection":
                self._add("other", self._name(one) or "hexagonal bins", **extremes(one.get_array()))
            elif kind in {"QuadContourSet", "TriContourSet"}:
                levels = [number(level) for level in one.levels[:MOST_TICKS]]
                self._add("contour", None, levels=levels, count=len(one.levels), **extremes(one.levels))
            elif kind in {"Poly3DCollection", "Line3DCollection"}:
                self._add("surface", self._name(one))
            elif kind == "EventCollection":
                places = one.get_positions()
                self._add("other", self._name(one) or "events", count=len(places), **extremes(places))
            elif kind == "LineCollection":
                if len(one.get_paths()):
                    self._add("reference", self._name(one) or "lines", count=len(one.get_paths()))
            elif kind in {"Quiver", "Barbs"}:
                self._add("other", self._name(one) or "arrows", count=len(one.get_offsets()))
            else:
                self._add("other", self._name(one) or kind)

    def _solid_points(self, xs: Any, ys: Any, zs: Any) -> Document:
        """Of three directions, of which the third has the values."""
        chosen = self._chosen(zs)
        found = self._points(xs, ys, chosen)
        return {**found, "z": [number(zs[at]) for at in chosen], **extremes(zs)}

    def _scatter(self, one: Any) -> None:
        numpy = sys.modules["numpy"]
        offsets = numpy.ma.filled(numpy.ma.asarray(one.get_offsets(), dtype=float), math.nan)
        if not len(offsets):
            return
        points = functools.partial(
            self._points, named_x=self.x.kind == "category", named_y=self.y.kind == "category"
        )
        colours = one.get_facecolors()
        if self._by_colour and len(colours) == len(offsets) and one.get_array() is None and len(colours) > 1:
            # Several groups in one artist, told apart by colour, as seaborn makes them.
            keys, group_of = numpy.unique(colours[:, :3], axis=0, return_inverse=True)
            rounded = [_rounded(key) for key in keys]
            names = [self._by_colour.get((c, False)) or self._by_colour.get((c, True)) for c in rounded]
            if all(names):
                for name in dict.fromkeys(self._by_colour.values()):  # in the legend's order
                    own = [at for at, other in enumerate(names) if other == name]
                    if own:
                        part = offsets[numpy.isin(group_of.ravel(), own)]
                        self._add("scatter", name, **points(part[:, 0], part[:, 1]))
                return
        chosen = self._chosen(offsets[:, 1])
        found = points(offsets[:, 0], offsets[:, 1], chosen)
        if one.get_array() is not None and len(one.get_array()) == len(offsets):
            found["color"] = [number(one.get_array()[at]) for at in chosen]
        sizes = one.get_sizes()
        if len(sizes) == len(offsets) and len(sizes) > 1:
            found["size"] = [number(sizes[at]) for at in chosen]
        self._add("scatter", self._name(one), **found)

    def _area(self, one: Any) -> None:
        """What lies between two curves; its outline goes there on the first and back on the second."""
        numpy = sys.modules["numpy"]
        direction = str(getattr(one, "t_direction", None) or getattr(one, "_t_direction", "x"))
        along, across = (0, 1) if direction == "x" else (1, 0)
        ways = []
        for path in one.get_paths():  # several, where there are gaps
            corners = path.vertices
            half = (len(corners) - 3) // 2
            if half < 1:
                continue
            ways.append((corners[1 : half + 1], corners[half + 2 : 2 * half + 2][::-1]))
            if not numpy.allclose(ways[-1][0][:, along], ways[-1][1][:, along]):
                is_area = type(one).__name__ == "FillBetweenPolyCollection"
                self._add("area" if is_area else "other", self._name(one), count=len(one.get_paths()))
                return
        if not ways:
            return
        there, back = (numpy.concatenate(parts) for parts in zip(*ways, strict=True))
        names = self.y if direction == "x" else self.x
        middle = (there[:, across] + back[:, across]) / 2
        if names.names and numpy.allclose(middle, middle[0]) and numpy.ptp(there[:, across]) > 0:
            # As wide to both sides of a category: a violin.
            values = there[:, along]
            ends = {"low": number(values.min()), "high": number(values.max())}
            box = {"label": names.category(float(middle[0])), **ends}
            self._add("violin", self._name(one), boxes=[box], count=1)
            return
        first, second = there[:, across], back[:, across]
        if not first.any() or (second.any() and second.sum() > first.sum()):
            first, second = second, first  # it begins at zero, or at what is lower
        reach = first - second
        xs, ys = (there[:, along], reach) if direction == "x" else (reach, there[:, along])
        chosen = self._chosen(reach)
        found = self._points(xs, ys, chosen, named_x=bool(self.x.names) and direction == "x")
        found |= extremes(reach)
        if second.any():
            found["base"] = [number(second[at]) for at in chosen]
        self._add("area", self._name(one), **found)

    def _mesh(self, one: Any) -> None:
        values = one.get_array()
        corners = one.get_coordinates()
        rows, columns = corners.shape[0] - 1, corners.shape[1] - 1
        if values is None or values.size != rows * columns:
            self._add("heatmap", self._name(one))
            return
        xs = (corners[0, :-1, 0] + corners[0, 1:, 0]) / 2
        ys = (corners[:-1, 0, 1] + corners[1:, 0, 1]) / 2
        self._grid(values.reshape(rows, columns), xs, ys, self._name(one))

    def _images(self) -> None:
        for image in self.axes.images:
            values = image.get_array()
            if values is None or not image.get_visible():
                continue
            if values.ndim != 2:
                self._add("image", self._name(image), shape=[int(side) for side in values.shape[:2]])
                continue
            left, right, bottom, top = image.get_extent()
            rows, columns = values.shape
            xs = [left + (right - left) * (at + 0.5) / columns for at in range(columns)]
            first, last = (top, bottom) if image.origin == "upper" else (bottom, top)
            ys = [first + (last - first) * (at + 0.5) / rows for at in range(rows)]
            self._grid(values, xs, ys, self._name(image))

    def _grid(self, values: Any, xs: Any, ys: Any, name: str | None) -> None:
        rows, columns = values.shape
        side = max(2, int(MOST_CELLS**0.5))
        most_columns = min(columns, max(side, MOST_CELLS // max(1, rows)))
        most_rows = min(rows, max(1, MOST_CELLS // most_columns))
        down = sample(rows, max(2, most_rows)) if self._most else []
        along = sample(columns, max(2, most_columns)) if self._most else []
        numpy = sys.modules["numpy"]
        plain = numpy.ma.asarray(values)[numpy.ix_(down, along)].astype(float) if down else values
        found = {
            "x": [self.x.category(float(xs[at])) for at in along],
            "y": [self.y.category(float(ys[at])) for at in down],
            "values": [[number(value) for value in row] for row in numpy.ma.filled(plain, math.nan)]
            if down
            else [],
            "shape": [rows, columns],
            "count": rows * columns,
            **extremes(values),
        }
        if len(down) * len(along) < rows * columns:
            found["is_sampled"] = True
        self._add("heatmap", name, **found)

    def _patches(self) -> None:
        wedges = []
        for patch in self.axes.patches:
            if id(patch) in self._used or not patch.get_visible():
                continue
            kind = type(patch).__name__
            if kind == "Wedge":
                wedges.append(patch)
            elif kind == "StepPatch":
                values, edges, _ = patch.get_data()
                middles = [(a + b) / 2 for a, b in itertools.pairwise(edges)]
                self._add("histogram", self._name(patch), **self._points(middles, values))
            elif (step := remembered.bins.get(patch)) is not None:
                values, edges = step
                middles = [(a + b) / 2 for a, b in itertools.pairwise(edges)]
                points = self._points(middles, values)
                if len(edges) <= self._most:
                    points["edges"] = [self.x.value(edge) for edge in edges]
                self._add("histogram", self._name(patch), **points)
            elif kind == "Polygon" and patch.get_transform() == self.axes.transData:
                corners = patch.get_xy()
                self._add(
                    "other", self._name(patch) or "outline", **self._points(corners[:, 0], corners[:, 1])
                )
        if wedges:  # drawn one by one
            shares = [(wedge.theta2 - wedge.theta1) / 360 for wedge in wedges]
            self._pie(wedges, shares, [])

    def _tables(self) -> None:
        for table in self.axes.tables:
            self._add("other", "table", count=len(table.get_celld()))


def _handles(legend: Any) -> Iterable[Any]:
    handles: Iterable[Any] | None = getattr(legend, "legend_handles", None)
    return handles if handles is not None else legend.legendHandles  # until matplotlib 3.7


def _is_line(artist: Any) -> bool:
    return hasattr(artist, "get_xdata")


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _kind_of_line(line: Any) -> str:
    is_drawn = line.get_linestyle() not in ("None", "none", " ", "")
    return "line" if is_drawn or line.get_marker() in (None, "None", "none", "", " ") else "scatter"


def _touch(starts: Sequence[float], sizes: Sequence[float]) -> bool:
    """Whether each bar begins where the one before it ends."""
    if len(starts) < 2:
        return False
    slack = abs(sizes[0]) * 1e-3
    return all(
        abs(start + size - following) <= slack
        for start, size, following in zip(starts, sizes, starts[1:], strict=False)
    )


def _box(kind: str, label: Value, stats: Any) -> Document:
    if kind == "violin":
        low, high = stats.get("min"), stats.get("max")
        found = {"low": number(low), "high": number(high)}
        found |= {"median": number(stats.get("median")), "mean": number(stats.get("mean"))}
    else:
        fliers = stats.get("fliers")
        found = {
            "low": number(stats.get("whislo")),
            "q1": number(stats.get("q1")),
            "median": number(stats.get("med")),
            "q3": number(stats.get("q3")),
            "high": number(stats.get("whishi")),
            "mean": number(stats.get("mean")),
            "outliers": None if fliers is None else len(fliers),
        }
    own = stats.get("label")
    if isinstance(label, str):
        named: Value = label
    else:
        named = text(own) if own else label
    return {"label": named, **{name: value for name, value in found.items() if value is not None}}


def _colour(handle: Any) -> Any:
    """Of a line, a bar or a point, as four numbers; None where it has none, or many."""
    numpy, colors = sys.modules["numpy"], sys.modules["matplotlib.colors"]
    for name in ("get_facecolor", "get_color", "get_markerfacecolor", "get_edgecolor"):
        get = getattr(handle, name, None)
        if get is None:
            continue
        try:
            found = numpy.atleast_2d(colors.to_rgba_array(get()))
        except (TypeError, ValueError):
            continue
        if len(found) == 1 and found[0][3] > 0:
            return _rounded(found[0])
    return None


def _rounded(colour: Any) -> tuple[float, ...]:
    return tuple(round(float(part), 3) for part in colour[:3])
