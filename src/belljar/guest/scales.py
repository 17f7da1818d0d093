"""The axes of a chart: how places on them are read, as numbers, dates and names, and the JSON values that makes."""

from __future__ import annotations

import itertools
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta, tzinfo
from typing import Any

MOST_TICKS = 50
MOST_TEXT = 300
_PIECE = 1 << 18
"""Numbers that are looked at together."""
_UPRIGHT = re.compile(r"\$\\mathdefault\{(.*?)\}\$")
"""What matplotlib puts around the powers on a logarithmic scale."""
_UNIT = re.compile(r"[(\[]([^()\[\]]{1,30})[)\]]\s*$")

Value = float | int | str | None
Document = dict[str, Any]


def number(value: Any) -> float | int | None:
    """As JSON has it, with as many digits as data have; None for what is no finite number."""
    try:
        real = float(value)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(real):
        return None
    if real.is_integer() and abs(real) < 1e15:
        return int(real)
    return float(f"{real:.10g}")


def text(value: Any) -> str:
    """A word of the chart's, in one line."""
    words = _UPRIGHT.sub(r"\1", " ".join(str(value).split()))
    return words if len(words) <= MOST_TEXT else f"{words[: MOST_TEXT - 1]}…"


def sample(count: int, most: int) -> Sequence[int]:
    """At most `most` places of `count`, at even distances, the first and the last among them."""
    if count <= most:
        return range(count)
    return sorted({round(at * (count - 1) / (most - 1)) for at in range(most)})


def extremes(values: Any) -> Document:
    """{min, max} of numbers, of those that are finite."""
    places = extreme_places(values)
    flat = sys.modules["numpy"].ma.asarray(values).ravel()
    return {name: number(flat[at]) for name, at in zip(("min", "max"), places, strict=False)}


def extreme_places(values: Any) -> tuple[int, int] | tuple[()]:
    """Where the lowest and the highest number are, as if all lay in one row; nowhere, where none is finite."""
    numpy = sys.modules["numpy"]
    flat = numpy.ma.asarray(values).ravel()
    lowest, highest = (math.inf, -1), (-math.inf, -1)
    for start in range(0, flat.size, _PIECE):  # as floats, a large picture would take eight times its memory
        piece = numpy.ma.filled(flat[start : start + _PIECE].astype(float), math.nan)
        is_finite = numpy.isfinite(piece)
        if not is_finite.any():
            continue
        low = int(numpy.where(is_finite, piece, math.inf).argmin())
        high = int(numpy.where(is_finite, piece, -math.inf).argmax())
        lowest = min(lowest, (float(piece[low]), start + low))
        if float(piece[high]) > highest[0]:
            highest = float(piece[high]), start + high
    return (lowest[1], highest[1]) if highest[1] >= 0 else ()


def unit_of(label: str) -> str | None:
    """`EUR` of `Sales (EUR)` and of `Sales [EUR]`."""
    found = _UNIT.search(label)
    return found[1].strip() if found else None


class Scale:
    """One axis of a chart: how the numbers on it are read."""

    def __init__(self, axis: Any, siblings: Iterable[Any] = ()) -> None:
        self._axis = axis
        self.names: dict[float, str] = {}
        """Names at places, of categories and of ticks with words of their own."""
        self.kind = str(axis.get_scale())
        self._of: Callable[[float], Value] = number
        converter = _converter(axis)
        kind = type(converter).__name__
        if kind == "StrCategoryConverter":
            self.kind = "category"
            self.names = {float(at): str(name) for name, at in axis.units._mapping.items()}
            self._of = self.category
        elif kind == "PeriodConverter" and getattr(axis, "freq", None) is not None:
            self.kind, self._of = "date", self._period
        elif "Date" in kind or kind == "TimeSeries_DateFormatter":
            self.kind, self._of = "date", self._date
        else:
            self._name_ticks()
            for sibling in siblings if not self.names else ():
                # Facets share their places, and only those at the rim have the words.
                other = Scale(sibling)
                if other.names or other.kind == "date":
                    self.kind, self.names, self._of = other.kind, other.names, other._of
                    break

    def _name_ticks(self) -> None:
        """Words that the code has put at ticks."""
        formatter = self._axis.get_major_formatter()
        function = getattr(getattr(formatter, "func", None), "func", None)
        if type(formatter).__name__ == "FixedFormatter" or (
            getattr(function, "__name__", "") == "_format_with_dict"
        ):
            for place, label in self.ticks():
                self.names[place] = label

    def ticks(self) -> list[tuple[float, str]]:
        """Where there are labels within view, and what they say, as they were drawn last."""
        low, high = sorted(self._axis.get_view_interval())
        slack = (high - low) * 1e-6
        shown = []
        for tick in self._axis.majorTicks[: len(self._axis.get_majorticklocs())]:
            place = float(tick.get_loc())
            words = tick.label1.get_text() or tick.label2.get_text()
            if words and low - slack <= place <= high + slack:
                shown.append((place, text(words)))
        return shown

    def value(self, place: Any) -> Value:
        return self._of(float(place)) if math.isfinite(float(place)) else None

    def category(self, place: float) -> Value:
        """The name that is nearest, where one is near; else the number."""
        if self.names and math.isfinite(place):
            near = min(self.names, key=lambda at: abs(at - place))
            if abs(near - place) <= 0.5 * self._distance():
                return self.names[near]
        return number(place) if self.kind == "category" else self.value(place)

    def _distance(self) -> float:
        places = sorted(self.names)
        return min((b - a for a, b in itertools.pairwise(places)), default=1.0) or 1.0

    def _date(self, place: float) -> Value:
        dates: Any = sys.modules["matplotlib.dates"]
        day, seconds = math.floor(place), (place - math.floor(place)) * 86400
        if abs(seconds - round(seconds)) < 1e-3:  # what is left of a float is no microsecond of the data's
            seconds = round(seconds)
        moment = dates.num2date(day) + timedelta(seconds=seconds)
        if isinstance(zone := self._axis.get_units(), tzinfo):
            moment = moment.astimezone(zone)  # as the ticks are
        words: str = moment.replace(tzinfo=None).isoformat()
        return words.removesuffix("T00:00:00")

    def _period(self, place: float) -> Value:
        pandas: Any = sys.modules["pandas"]
        return str(pandas.Period(ordinal=round(place), freq=self._axis.freq))

    def described(self) -> Document:
        label = text(self._axis.get_label_text() or "")
        low, high = sorted(self._axis.get_view_interval())
        found: Document = {
            "label": label,
            "unit": unit_of(label),
            "scale": self.kind,
            "min": self.value(low) if self.kind != "category" else None,
            "max": self.value(high) if self.kind != "category" else None,
        }
        shown = self.ticks()
        found["ticks"] = [words for _, words in shown[:MOST_TICKS]] if self._axis.get_visible() else []
        return {name: value for name, value in found.items() if value not in (None, "", [])}


def _converter(axis: Any) -> Any:
    """What turns data into places: a method since matplotlib 3.10, an attribute before."""
    return axis.get_converter() if hasattr(axis, "get_converter") else getattr(axis, "converter", None)
