"""Charts as data, and how they are asked for.

What a chart shows is said where the user's code runs, and so it is held against the shape here before anybody reads it:
what does not fit is dropped, and the picture stands alone.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from belljar.records import MAX_CHART_BYTES
from belljar.wire.numbers import WHOLE

CHART = "application/vnd.belljar.chart+json"
MOST_ALT = 1200
"""Characters of the text that stands for the picture."""
LEAST_PIXELS, MOST_PIXELS = 50, 6000
"""Of one side."""
LEAST_DPI, MOST_DPI = 10, 600
_SHOWN_POINTS = 12
_SHOWN_SERIES = 8
_SHOWN_AXES = 6
_SHOWN_CELLS = 30

ChartFormat = Literal["png", "svg", "pdf"]
MEDIA_TYPES: dict[ChartFormat, str] = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}

CHART_ID_PATTERN = r"^chart_[0-9a-f]{8}_[1-9][0-9]{0,8}$"
ChartId = Annotated[str, Field(pattern=CHART_ID_PATTERN)]
_Text = Annotated[str, Field(max_length=400)]
_Texts = Annotated[list[_Text], Field(max_length=100)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Whole = Annotated[int, Field(ge=-(2**63), le=2**63)]
# Tried one by one, which takes half the time of looking for the best.
_Number = Annotated[_Whole | _Finite, Field(union_mode="left_to_right")]
_Numbers = Annotated[list[_Number | None], Field(max_length=500)]
Value = Annotated[_Whole | _Finite | _Text | None, Field(union_mode="left_to_right")]
"""A number, a date or time in ISO 8601, or the name of a category; null for what is none of them."""
_Values = Annotated[list[Value], Field(max_length=500)]
_Count = Annotated[int, Field(ge=0, le=2**53)]

SeriesKind = Literal[
    "line", "scatter", "bar", "histogram", "area", "pie", "box", "violin", "heatmap", "contour", "stem",
    "image", "surface", "reference", "other",
]  # fmt: skip
AxesKind = Literal[
    "line", "scatter", "bar", "grouped_bar", "stacked_bar", "histogram", "area", "pie", "box", "violin",
    "heatmap", "contour", "polar", "3d", "stem", "image", "surface", "other", "empty",
]  # fmt: skip
ChartKind = AxesKind | Literal["subplots", "twin_axes"]


class _Fact(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class ChartAxis(_Fact):
    """One direction of a pair of axes, or its colours."""

    label: _Text | None = None
    unit: _Text | None = None
    """What stands in brackets at the label's end."""
    scale: _Text | None = None
    """`linear`, `log` and so on; `category` and `date`."""
    min: Value = None
    max: Value = None
    """Of what is in view."""
    ticks: _Texts = []


class ChartBox(_Fact):
    """One box or violin: where its whiskers or its body end, and what is between."""

    label: Value = None
    low: _Number | None = None
    q1: _Number | None = None
    median: _Number | None = None
    q3: _Number | None = None
    high: _Number | None = None
    mean: _Number | None = None
    outliers: _Count | None = None


class ChartSeries(_Fact):
    """What was drawn together, and has one name in the legend."""

    kind: SeriesKind
    name: _Text | None = None
    x: _Values = []
    y: _Values = []
    """As they lie on the axes; of bars and areas, how far they reach from `base`. Horizontal bars have their lengths in
    x. Of a pie, names and values."""
    z: _Numbers = []
    base: _Values = []
    """Where bars and areas begin; without it at 0. Bars that begin at a date have their lengths in days."""
    edges: _Values = []
    """Of a histogram's bins, one more than there are."""
    shares: _Numbers = []
    """Of a pie's pieces, of 1."""
    values: Annotated[list[_Numbers], Field(max_length=500)] = []
    """Of a heat map, by row."""
    shape: Annotated[list[_Count], Field(max_length=3)] = []
    """Rows and columns, of which `values` may have some only."""
    color: _Numbers = []
    size: _Numbers = []
    levels: _Numbers = []
    """Of a contour."""
    boxes: Annotated[list[ChartBox], Field(max_length=200)] = []
    count: _Count | None = None
    """Points that there are."""
    is_sampled: bool = False
    """Only some of them are here, at even distances."""
    is_horizontal: bool = False
    has_error_bars: bool = False
    min: _Number | None = None
    max: _Number | None = None
    """Of all points, in the direction of the values."""


class ChartAxes(_Fact):
    """One pair of axes."""

    kind: AxesKind
    title: _Text | None = None
    x: ChartAxis | None = None
    y: ChartAxis | None = None
    z: ChartAxis | None = None
    color: ChartAxis | None = None
    series: Annotated[list[ChartSeries], Field(max_length=100)] = []
    legend: _Texts = []
    legend_title: _Text | None = None
    annotations: _Texts = []
    twin_of: _Count | None = None
    """The place in the list of those that these lie upon."""
    series_left_out: _Count = 0


class Chart(_Fact):
    """What a chart shows, as the interpreter says that drew it."""

    id: ChartId | None = None
    """For `POST /v1/containers/{id}/charts/{chart_id}`."""
    library: Literal["matplotlib", "plotly"]
    kind: ChartKind
    title: _Text | None = None
    alt: Annotated[str, Field(max_length=MOST_ALT)] = ""
    """The chart in words."""
    width: _Count | None = None
    height: _Count | None = None
    """Of the figure, in pixels; a picture that was cut to what is on it has others."""
    is_rendition: bool = False
    """The picture is drawn from the data by another library than the chart's own."""
    axes: Annotated[list[ChartAxes], Field(max_length=50)] = []
    legend: _Texts = []
    """Of the whole figure."""
    annotations: _Texts = []
    axes_left_out: _Count = 0


def read(body: bytes | str | None) -> Chart | None:
    """What a guest says of a chart, in words as well; None where it is no such thing."""
    if not body or len(body) > MAX_CHART_BYTES:
        return None
    try:
        chart = Chart.model_validate_json(body)
    except ValidationError:
        return None
    return chart.model_copy(update={"alt": alt_text(chart)})


def written(chart: Chart) -> bytes:
    """As JSON, without what it does not have."""
    return chart.model_dump_json(exclude_defaults=True).encode()


Dpi = Annotated[float, Field(ge=LEAST_DPI, le=MOST_DPI)]
Pixels = Annotated[int, Field(ge=LEAST_PIXELS, le=MOST_PIXELS), WHOLE]


_Formats = Annotated[
    list[ChartFormat],
    Field(min_length=1, max_length=len(get_args(ChartFormat)), json_schema_extra={"uniqueItems": True}),
]


class ChartsRequest(BaseModel):
    """How the charts of an execution are drawn."""

    model_config = ConfigDict(extra="forbid", strict=True)

    formats: _Formats = ["png"]
    dpi: Dpi | None = None
    width: Pixels | None = None
    height: Pixels | None = None
    """In pixels; with one of the two the other follows."""

    @model_validator(mode="after")
    def _has_each_once(self) -> ChartsRequest:
        if len(set(self.formats)) < len(self.formats):
            raise PydanticCustomError("formats", "formats: each may be named once")
        return self


class DrawingRequest(BaseModel):
    """The body of POST /v1/containers/{id}/charts/{chart_id}."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: ChartFormat = "png"
    dpi: Dpi | None = None
    width: Pixels | None = None
    height: Pixels | None = None


# -- in words ------------------------------------------------------------------------------------------------

_NAMES = {
    "line": "Line chart", "scatter": "Scatter plot", "bar": "Bar chart", "grouped_bar": "Grouped bar chart",
    "stacked_bar": "Stacked bar chart", "histogram": "Histogram", "area": "Area chart", "pie": "Pie chart",
    "box": "Box plot", "violin": "Violin plot", "heatmap": "Heat map", "contour": "Contour plot",
    "polar": "Polar chart", "3d": "3D chart", "stem": "Stem plot", "image": "Image", "surface": "Surface",
    "other": "Chart", "empty": "Empty chart", "subplots": "Figure of several charts",
    "twin_axes": "Chart of two axes upon one another",
}  # fmt: skip

_NOUNS = {
    "bar": "bars",
    "histogram": "bins",
    "contour": "levels",
    "pie": "pieces",
    "reference": "lines",
    "other": "parts",
}
_OF_PLACES = {"scatter", "3d", "contour", "surface"}
"""Kinds of axes that show where something is: how far they reach is told."""
_OF_VALUES = {"line", "bar", "histogram", "area", "stem"}
"""Kinds of series that have a value at each place: the lowest and the highest are told."""
_WITH_BANDS: dict[str, set[str]] = {"area": set(get_args(AxesKind)) - {"area"}, "bar": {"bar"}}
"""Kinds of series that may be bands, and of the axes where they are: else they lie upon one another."""
_JOINERS = "\u200c\u200d"
"""Not printable, and letters in Persian, in Hindi and in emoji."""


def alt_text(chart: Chart) -> str:
    """The chart in words: its kind and title, axes, and what its series say, as far as there is room."""
    parts = [_headline(chart.kind, chart.title)]
    axes = chart.axes[:_SHOWN_AXES]
    for number, one in enumerate(axes, start=1):
        described = _axes(one)
        if len(chart.axes) > 1:
            title = one.title if one.title != chart.title else None
            described = f"({number}) {_headline(one.kind, title)} {described}".rstrip()
        parts.append(described)
    parts.append(_notes(chart.annotations))
    if left_out := len(chart.axes) - len(axes) + chart.axes_left_out:
        parts.append(f"And {left_out} more.")
    if chart.is_rendition:
        parts.append("The picture is a simple rendition of the plotly figure.")
    return _clipped(" ".join(part for part in parts if part), MOST_ALT)


def _headline(kind: str, title: str | None) -> str:
    return f"{_NAMES[kind]} “{_plain(title)}”." if title else f"{_NAMES[kind]}."


def _notes(notes: list[str]) -> str:
    return f"Notes: {', '.join(_plain(note) for note in notes[:_SHOWN_SERIES])}." if notes else ""


def _axes(axes: ChartAxes) -> str:
    parts = []
    for name, axis in (("x", axes.x), ("y", axes.y), ("z", axes.z), ("colour", axes.color)):
        if axis is not None and axes.kind != "pie" and (words := _axis(axis, axes.kind)):
            parts.append(f"{name}: {words}.")
    of_areas = {series.name for series in axes.series if series.kind == "area"}
    for series in axes.series[:_SHOWN_SERIES]:
        if axes.kind == "area" and series.kind == "line" and series.name in {None, *of_areas}:
            continue  # its edge
        is_band = bool(series.base) and axes.kind in _WITH_BANDS.get(series.kind, ())
        parts.append(f"{_band(series) if is_band else _series(series)}.")
    left_out = max(0, len(axes.series) - _SHOWN_SERIES) + axes.series_left_out
    if left_out:
        parts.append(f"{left_out} more series.")
    return " ".join(part for part in (*parts, _notes(axes.annotations)) if part)


def _axis(axis: ChartAxis, kind: AxesKind) -> str:
    words = [_plain(axis.label)] if axis.label else []
    if axis.scale not in {None, "linear", "category"}:
        words.append(f"({_plain(axis.scale)})")
    if kind in _OF_PLACES and axis.min is not None and axis.max is not None:
        words.append(f"from {_value(axis.min)} to {_value(axis.max)}")
    return " ".join(words)


def _series(series: ChartSeries) -> str:
    name = _named(series.kind, series)
    if series.boxes:
        return f"{name}: {'; '.join(map(_box, series.boxes[:_SHOWN_POINTS]))}"
    if series.kind in {"heatmap", "image"} and len(series.shape) >= 2:
        return _grid(name, series)
    places = [*series.x, *series.y]
    if series.kind == "reference" and places:
        return f"{name} at {', '.join(map(_value, places[:4]))}"
    count = series.count if series.count is not None else max(len(series.x), len(series.y))
    if count and count <= _SHOWN_POINTS and len(series.y) == count == len(series.x):
        return f"{name}: {', '.join(_points(series))}"
    noun = _NOUNS.get(series.kind, "points")
    words = [f"{name}: {count:,} {noun if count != 1 else noun.removesuffix('s')}" if count else name]
    along, values = (series.y, series.x) if series.is_horizontal else (series.x, series.y)
    if series.kind not in {"scatter", "contour"} and along:
        words[0] += f" from {_value(along[0])} to {_value(along[-1])}"
    has_extremes = series.min in values and series.max in values and len(along) == len(values)
    if series.kind in _OF_VALUES and not series.z and has_extremes:
        for which, value in (("lowest", series.min), ("highest", series.max)):
            words.append(f"{which} {_value(value)} at {_value(along[values.index(value)])}")
    elif series.min is not None:
        words.append(_range(series))
    if series.kind in {"line", "area"} and values and not series.z:
        words.append(f"first {_value(values[0])}, last {_value(values[-1])}")
    return ", ".join(words)


def _named(what: str, series: ChartSeries) -> str:
    if series.name:
        return f"{what} “{_plain(series.name)}”"
    if series.kind == "scatter" and series.x and isinstance(series.x[0], str) and len(set(series.x)) == 1:
        return f"{what} at {_plain(series.x[0])}"
    return what


def _points(series: ChartSeries) -> list[str]:
    """Each, where they are few."""
    if len(series.z) == len(series.x):
        solid = zip(series.x, series.y, series.z, strict=True)
        return [f"({', '.join(map(_value, point))})" for point in solid]
    along, values = (series.y, series.x) if series.is_horizontal else (series.x, series.y)
    shares = [f" ({share:.1%})" if share is not None else "" for share in series.shares] or [""] * len(along)
    return [f"{_value(a)}: {_value(v)}{share}" for a, v, share in zip(along, values, shares, strict=False)]


def _band(series: ChartSeries) -> str:
    """An area around a line, or bars that begin somewhere else than at 0: where each begins and ends, or how wide they
    are."""
    name = _named("band" if series.kind == "area" else series.kind, series)
    along, reach = (series.y, series.x) if series.is_horizontal else (series.x, series.y)
    if len(along) == len(reach) == len(series.base) and len(along) <= _SHOWN_POINTS:
        told = [
            f"{_value(a)}: {_reach(low, r)}"
            for a, r, low in zip(along, reach, series.base, strict=True)
            if low is not None and isinstance(r, int | float)
        ]
        return f"{name}: {', '.join(told)}"
    where = f" from {_value(along[0])} to {_value(along[-1])}" if along else ""
    return f"{name}{where}, {_value(series.min)} to {_value(series.max)} wide"


def _reach(low: str | float, reach: float) -> str:
    if isinstance(low, str):
        return f"{_value(low)}, {_value(reach)} days"
    return f"{_value(low)} to {_value(low + reach)}"


def _grid(name: str, series: ChartSeries) -> str:
    rows, columns = series.shape[:2]
    words = f"{name}: {rows} rows, {columns} columns"
    if series.min is not None:
        words += f", {_range(series)}"
    if series.is_sampled or len(series.x) != columns or not len(series.y) == len(series.values) == rows:
        return words
    if rows * columns <= _SHOWN_CELLS:
        lines = [
            f"{_value(y)}: {', '.join(f'{_value(x)} {_value(v)}' for x, v in zip(series.x, row, strict=False))}"
            for y, row in zip(series.y, series.values, strict=True)
        ]
        return f"{words}; {'; '.join(lines)}"
    cells = [
        (v, x, y)
        for y, row in zip(series.y, series.values, strict=True)
        for v, x in zip(row, series.x, strict=False)
    ]
    for which, value in (("lowest", series.min), ("highest", series.max)):
        at = next(((x, y) for v, x, y in cells if v == value and v is not None), None)
        if at is not None:
            words += f", {which} at x {_value(at[0])}, y {_value(at[1])}"
    return words


def _box(box: ChartBox) -> str:
    label = f"{_value(box.label)} " if box.label is not None else ""
    told = [
        f"{name} {_value(value)}"
        for name in ("median", "q1", "q3", "low", "high")
        if (value := getattr(box, name)) is not None
    ]
    if box.outliers:
        told.append(f"{box.outliers} outlier{'s' if box.outliers != 1 else ''}")
    return f"{label}{', '.join(told)}"


def _range(series: ChartSeries) -> str:
    return f"values {_value(series.min)} to {_value(series.max)}"


def _value(value: Value) -> str:
    if value is None:
        return "none"
    return _plain(value) if isinstance(value, str) else f"{value:.6g}"


def _plain(words: str | None) -> str:
    return "".join(c if c.isprintable() or c in _JOINERS else " " for c in words or "")


def _clipped(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"
