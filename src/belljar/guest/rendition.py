"""A plotly figure drawn by matplotlib: the common kinds of traces, plainly."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from typing import Any

from belljar.guest.scales import MOST_TICKS, number, text

_MOST_GROUPED = 60
"""Places of bars that stand side by side; more are drawn over one another."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$")
_ZONE = re.compile(r"(?<=:\d\d)(Z|[+-]\d\d:?\d\d)$|(?<=\.\d)(Z|[+-]\d\d:?\d\d)$|(?<=\d)Z$")
_COLORS = [
    "#636efa",
    "#ef553b",
    "#00cc96",
    "#ab63fa",
    "#ffa15a",
    "#19d3f3",
    "#ff6692",
    "#b6e880",
    "#ff97ff",
    "#fecb52",
]
"""In which plotly draws one trace after the other."""
_TAG = re.compile(r"<[^>]{1,200}>")


def title_of(figure: Any) -> str:
    return plain(figure.layout.title.text)


def plain(words: Any) -> str:
    """Words without the tags that plotly knows."""
    return text(_TAG.sub("", str(words or "").replace("<br>", " ")))


def drawn_from(figure: Any) -> Any:
    """A matplotlib figure of what can be drawn; None where nothing can, or there is no matplotlib."""
    try:
        figure_class = importlib.import_module("matplotlib.figure").Figure
    except ImportError:
        return None
    visible = [trace for trace in figure.data if trace.visible in (None, True)]
    traces = [trace for trace in visible if trace.type in _DRAWN]
    if not traces:
        return None
    layout = figure.layout
    drawn = figure_class(figsize=((layout.width or 700) / 100, (layout.height or 450) / 100), dpi=100)
    if title := title_of(figure):
        drawn.suptitle(title)
    words = "drawn from the data of a plotly figure"
    if missing := dict.fromkeys(trace.type for trace in visible if trace.type not in _DRAWN):
        words += f", without {', '.join(missing)}"
    drawn.text(0.995, 0.005, words, ha="right", va="bottom", size=6, color="grey")
    places: dict[Any, list[Any]] = {}
    for trace in traces:
        places.setdefault(_place(trace, layout), []).append(trace)
    made: dict[Any, Any] = {}
    by_name: dict[str, Any] = {}
    for place, own in places.items():
        below = _overlaid(place, layout)
        axes = made[below].twinx() if below in made else drawn.add_axes(_rectangle(place, layout))
        made[place] = axes
        for name in place[1:] if place[0] == "xy" else ():
            if (other := by_name.setdefault(_axis(layout, name).matches or name, axes)) is not axes:
                (axes.sharex if name[0] == "x" else axes.sharey)(other)
        _draw_axes(axes, own, layout, place)
        if below not in made and len(places) > 1:
            axes.set_title(_title_above(place, layout), fontsize=10)
    return drawn


def _title_above(place: tuple[Any, ...], layout: Any) -> str:
    """Of one of several subplots: a note above the middle of it."""
    domain = place[1] if place[0] == "pie" else (_axis(layout, place[1]).domain or (0, 1))
    top = place[2][1] if place[0] == "pie" else (_axis(layout, place[2]).domain or (0, 1))[1]
    for note in layout.annotations or ():
        is_free = note.xref == note.yref == "paper" and note.x is not None and note.y is not None
        if is_free and abs(note.x - sum(domain) / 2) < 0.01 and abs(note.y - top) < 0.01:
            return plain(note.text)
    return ""


def _place(trace: Any, layout: Any) -> tuple[Any, ...]:
    """What traces have in common that share axes."""
    if trace.type == "pie":
        domain = trace.domain
        return "pie", tuple(domain.x or (0, 1)), tuple(domain.y or (0, 1))
    return "xy", trace.xaxis or "x", trace.yaxis or "y"


def _axis(layout: Any, name: str) -> Any:
    """`layout.xaxis2` by the name that traces have for it, `x2`."""
    return layout[f"{name[0]}axis{name[1:]}"]


def _overlaid(place: tuple[Any, ...], layout: Any) -> Any:
    if place[0] != "xy":
        return None
    below = _axis(layout, place[2]).overlaying
    return ("xy", place[1], below) if below and below != "free" else None


def _rectangle(place: tuple[Any, ...], layout: Any) -> tuple[float, float, float, float]:
    """Where axes lie, as far as plotly says; with room for titles and labels around each."""
    if place[0] == "pie":
        (left, right), (bottom, top) = place[1], place[2]
    else:
        left, right = _axis(layout, place[1]).domain or (0, 1)
        bottom, top = _axis(layout, place[2]).domain or (0, 1)
    width, height = (right - left) * 0.86, (top - bottom) * 0.76
    return 0.1 + left * 0.86, 0.13 + bottom * 0.76, max(0.05, width), max(0.05, height)


def _draw_axes(axes: Any, traces: list[Any], layout: Any, place: tuple[Any, ...]) -> None:
    bars = [trace for trace in traces if trace.type == "bar"]
    histograms = [trace for trace in traces if trace.type == "histogram"]
    spread = [trace for trace in traces if trace.type in {"box", "violin"}]
    if bars:
        _draw_bars(axes, bars, layout.barmode or "group")
    if histograms:
        _draw_histograms(axes, histograms, layout.barmode or "stack")
    if spread:
        _draw_spread(axes, spread)
    heights: dict[str, Any] = {}
    for trace in traces:
        if trace.type in {"scatter", "scattergl"}:
            _draw_scatter(axes, trace, heights)
        elif trace.type == "pie":
            _draw_pie(axes, trace)
        elif trace.type == "heatmap":
            _draw_heat_map(axes, trace, layout)
        elif trace.type == "image" and trace.z is not None:
            axes.imshow(trace.z)
    if place[0] == "xy":
        x, y = _axis(layout, place[1]), _axis(layout, place[2])
        axes.set_xlabel(plain(x.title.text))
        axes.set_ylabel(plain(y.title.text))
        for axis, direction in ((x, "x"), (y, "y")):
            limits = [number(end) for end in axis.range or ()]
            if axis.type == "log":
                axes.set(**{f"{direction}scale": "log"})
                limits = [
                    None if end is None else 10.0**end for end in limits if end is None or abs(end) < 300
                ]
            if len(limits) == 2 and None not in limits and not isinstance(axis.range[0], str):
                axes.set(**{f"{direction}lim": limits})
            if axis.showticklabels is False:
                axes.tick_params(axis=direction, labelbottom=False, labelleft=False)
        axes.tick_params(labelsize=8)
        if len(axes.get_xticklabels()) > 8:
            axes.tick_params(axis="x", rotation=30)
    named = [
        trace for trace in traces if trace.name and trace.type not in {"pie", "heatmap", "box", "violin"}
    ]
    if named and (len(traces) > 1 or layout.showlegend):
        axes.legend(fontsize=8)


def _draw_bars(axes: Any, traces: list[Any], mode: str) -> None:
    numpy = _numpy()
    is_upright = traces[0].orientation != "h"
    columns = [_columns(t.x, t.y) if is_upright else _columns(t.y, t.x) for t in traces]
    names = list(dict.fromkeys(_word(at) for places, _ in columns for at in places))
    is_named = any(isinstance(at, str) for places, _ in columns for at in places)
    draw = axes.bar if is_upright else axes.barh
    size = "width" if is_upright else "height"
    is_stacked = mode in {"stack", "relative"}
    is_dense = len(names) > _MOST_GROUPED and not is_named
    has_each_once = len(traces) == 1 and len(names) == len(columns[0][0])
    if has_each_once or mode == "overlay" or (not is_stacked and (len(traces) == 1 or is_dense)):
        for trace, (places, values) in zip(traces, columns, strict=True):
            draw(places, values, label=_label(trace), color=_color(trace))
        return
    if not is_named:
        names.sort(key=lambda name: (number(name) or 0, name))
    at = {name: place for place, name in enumerate(names)}
    share = 0.8 / len(traces)
    tops = {True: numpy.zeros(len(names)), False: numpy.zeros(len(names))}
    for rank, (trace, (places, values)) in enumerate(zip(traces, columns, strict=True)):
        ranks = [at[_word(place)] for place in places]
        where = numpy.array(ranks, dtype=float)
        shown = numpy.array([number(value) or 0 for value in values], dtype=float)
        if is_stacked:
            base = []
            for w, v in zip(ranks, shown, strict=True):  # one trace may have several at one place
                base.append(tops[bool(v >= 0)][w])
                tops[bool(v >= 0)][w] += v
            start = {"bottom" if is_upright else "left": base}
            draw(places if is_dense else where, shown, label=_label(trace), color=_color(trace), **start)
        else:
            beside = where + (rank - (len(traces) - 1) / 2) * share
            draw(beside, shown, label=_label(trace), color=_color(trace), **{size: share})
    if not is_dense:
        (axes.xaxis if is_upright else axes.yaxis).set_ticks(range(len(names)), names)


def _draw_histograms(axes: Any, traces: list[Any], mode: str) -> None:
    numpy = _numpy()
    is_upright = traces[0].x is not None
    values = [_values(trace.x if is_upright else trace.y) for trace in traces]
    weights = [_values(trace.y if is_upright else trace.x) for trace in traces]
    if any(isinstance(value, str) for own in values for value in own):
        names = list(dict.fromkeys(str(value) for own in values for value in own))
        for trace, own in zip(traces, values, strict=True):
            counts = [sum(str(value) == name for value in own) for name in names]
            (axes.bar if is_upright else axes.barh)(names, counts, label=_label(trace), color=_color(trace))
        return
    bins: Any = "auto"
    asked = traces[0].xbins if is_upright else traces[0].ybins
    count = traces[0].nbinsx if is_upright else traces[0].nbinsy
    if asked.size and asked.start is not None and asked.end is not None and not isinstance(asked.start, str):
        bins = numpy.arange(asked.start, asked.end + asked.size, asked.size)
    elif count:
        bins = count
    together = numpy.concatenate([numpy.asarray(own) for own in values])
    if isinstance(bins, str | int):
        bins = _edges(together, bins)
    axes.hist(
        values,
        bins=bins,
        weights=weights if all(len(w) == len(v) for w, v in zip(weights, values, strict=True)) else None,
        stacked=mode in {"stack", "relative"} and len(traces) > 1,
        orientation="vertical" if is_upright else "horizontal",
        label=[_label(trace) for trace in traces],
        histtype="bar",
    )


def _edges(values: Any, bins: Any) -> Any:
    numpy = _numpy()
    if values.dtype.kind == "M":
        return 20 if bins == "auto" else bins
    edges = numpy.histogram_bin_edges(values, bins)
    return edges if len(edges) <= 200 else numpy.histogram_bin_edges(values, 200)


def _draw_spread(axes: Any, traces: list[Any]) -> None:
    is_upright = traces[0].orientation != "h"
    groups: dict[str, list[Any]] = {}
    for trace in traces:
        values, places = (trace.y, trace.x) if is_upright else (trace.x, trace.y)
        if values is None:
            values, places, is_upright = places, None, False
        names = [str(place) for place in _values(places)]
        for at, value in enumerate(_values(values)):
            name = names[at] if at < len(names) else plain(trace.name)
            if names and len(traces) > 1 and trace.name:
                name = f"{name}, {plain(trace.name)}"
            groups.setdefault(name, []).append(value)
    if not groups:
        return
    way = "vertical" if is_upright else "horizontal"
    if traces[0].type == "violin":
        axes.violinplot(list(groups.values()), showmedians=True, orientation=way)
        axis = axes.xaxis if is_upright else axes.yaxis
        axis.set_ticks(range(1, len(groups) + 1), list(groups))
    else:
        axes.boxplot(list(groups.values()), tick_labels=list(groups), orientation=way)


def _draw_scatter(axes: Any, trace: Any, heights: dict[str, Any]) -> None:
    numpy = _numpy()
    xs, ys = _columns(trace.x, trace.y)
    if not len(ys):
        return
    color = _color(trace)
    group = getattr(trace, "stackgroup", None)
    if group or trace.fill:
        top = numpy.array([number(y) or 0 for y in ys], dtype=float)
        base = numpy.zeros(len(top))
        below = heights.get(group or "", base)
        if group and len(below) == len(top):
            base, top = below, below + top
        elif trace.fill == "tonexty" and len(heights.get("before", ())) == len(top):
            base = heights["before"]
        heights[group or ""] = heights["before"] = top
        axes.fill_between(xs, base, top, alpha=0.6, label=_label(trace), color=color)
        return
    heights["before"] = numpy.array([number(y) or 0 for y in ys], dtype=float)
    mode = trace.mode or ("lines" if len(ys) > 20 else "lines+markers")
    if "lines" in mode:
        marker = "o" if "markers" in mode else None
        axes.plot(xs, ys, marker=marker, markersize=4, label=_label(trace), color=color)
    else:
        sizes = trace.marker.size
        given: dict[str, Any] = {"label": _label(trace)}
        colors = trace.marker.color
        if isinstance(colors, Sequence) and not isinstance(colors, str):
            colors = numpy.asarray(colors)
        if hasattr(colors, "dtype") and colors.dtype.kind in "iuf" and len(colors) == len(ys):
            given["c"] = colors
        elif color is not None:
            given["color"] = color
        if hasattr(sizes, "__len__") and len(sizes) == len(ys):
            reference = float(trace.marker.sizeref or 1) or 1.0
            given["s"] = numpy.clip(numpy.asarray(sizes, dtype=float) / reference, 4, 2000)
        axes.scatter(xs, ys, **given)


def _draw_pie(axes: Any, trace: Any) -> None:
    counted: dict[str, float] = {}
    labels, values = _values(trace.labels), _values(trace.values)
    if not len(labels):
        labels = [str(at) for at in range(len(values))]
    for at, label in enumerate(labels):
        value = number(values[at]) if at < len(values) else None if len(values) else 1
        counted[plain(label)] = counted.get(plain(label), 0) + (value or 0)
    ring = {"wedgeprops": {"width": 1 - trace.hole}} if trace.hole else {}
    axes.pie(list(counted.values()), labels=list(counted), autopct="%1.1f%%", textprops={"size": 8}, **ring)


def _draw_heat_map(axes: Any, trace: Any, layout: Any) -> None:
    numpy = _numpy()
    grid = numpy.array([[number(v) for v in row] for row in trace.z], dtype=float)
    image = axes.imshow(grid, aspect="auto", origin="lower", cmap="viridis")
    title = trace.colorbar.title.text or (layout.coloraxis.colorbar.title.text if trace.coloraxis else None)
    axes.figure.colorbar(image, ax=axes, label=plain(title))
    for names, axis, count in ((trace.x, axes.xaxis, grid.shape[1]), (trace.y, axes.yaxis, grid.shape[0])):
        words = [plain(name) for name in _values(names)]
        if len(words) == count and count <= MOST_TICKS:
            axis.set_ticks(range(count), words)
    if _axis(layout, trace.yaxis or "y").autorange == "reversed":
        axes.invert_yaxis()


def _numpy() -> Any:
    return sys.modules["numpy"]  # matplotlib has brought it


def _values(column: Any) -> Any:
    """A column as numpy or a list has it; dates in words become dates, other words stay."""
    if column is None:
        return []
    numpy = _numpy()
    array = numpy.asarray(column)
    if array.dtype.kind in "OU" and array.size:
        words = [str(value) for value in array.ravel()]
        if all(_DATE.match(word) for word in words):
            return numpy.array(
                [re.sub(r"(Z|[+-]\d\d:?\d\d)$", "", w) if len(w) > 10 else w for w in words], "datetime64[us]"
            )
        if array.dtype.kind == "O" and not any(isinstance(value, str) for value in array.ravel()):
            return numpy.array([number(value) for value in array.ravel()], dtype=float)
        return words
    return array.ravel()


def _columns(places: Any, values: Any) -> tuple[Any, Any]:
    """Two columns of the same length; where one is missing it counts."""
    xs, ys = _values(places), _values(values)
    if not len(xs):
        xs = range(len(ys))
    elif not len(ys):
        ys = range(len(xs))
    most = min(len(xs), len(ys))
    return xs[:most], ys[:most]


def _word(place: Any) -> str:
    """A place as a name; of a date only what it says."""
    return re.sub(r"(T00:00)?(:00)?(\.0+)?$", "", str(place)) if "T" in str(place) else str(place)


def _label(trace: Any) -> str:
    return plain(trace.name) or "_"


def _color(trace: Any) -> Any:
    """The trace's one color, where matplotlib knows it."""
    is_color_like = sys.modules["matplotlib.colors"].is_color_like
    for part in (getattr(trace, "line", None), getattr(trace, "marker", None)):
        color = getattr(part, "color", None)
        if not isinstance(color, str):
            continue
        if found := re.match(r"rgba?\((\d+), ?(\d+), ?(\d+)", color):
            return tuple(int(part) / 255 for part in found.groups())
        if is_color_like(color):
            return color
    rank = getattr(trace, "_trace_ind", None)
    return _COLORS[rank % len(_COLORS)] if isinstance(rank, int) else None


_DRAWN = {"scatter", "scattergl", "bar", "histogram", "box", "violin", "pie", "heatmap", "image"}
