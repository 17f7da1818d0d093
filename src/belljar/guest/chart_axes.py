"""One pair of axes as data: its kind, title, directions, legend, notes and series."""

from __future__ import annotations

from typing import Any

from belljar.guest.chart_series import MOST_SERIES, Drawn
from belljar.guest.scales import Document, Scale, number, text, unit_of

MOST_NOTES = 50
_PRIORITY = "pie box violin heatmap contour histogram stacked_bar grouped_bar bar stem scatter line area image".split()


class Page:
    """One pair of axes."""

    def __init__(self, axes: Any, most_points: int) -> None:
        self.axes = axes
        beside_x = (other.xaxis for other in axes.get_shared_x_axes().get_siblings(axes) if other is not axes)
        beside_y = (other.yaxis for other in axes.get_shared_y_axes().get_siblings(axes) if other is not axes)
        self.x, self.y = Scale(axes.xaxis, beside_x), Scale(axes.yaxis, beside_y)
        self.series = Drawn(axes, self.x, self.y, most_points).series
        self._is_polar = getattr(axes, "name", "") == "polar"
        self._is_solid = getattr(axes, "name", "") == "3d"
        self._legend = axes.get_legend()

    def described(self) -> Document:
        kinds = [series["kind"] for series in self.series if series["kind"] != "reference"]
        found: Document = {
            "kind": self._kind(kinds),
            "title": text(
                self.axes.get_title() or self.axes.get_title("left") or self.axes.get_title("right")
            ),
            "series": self.series[:MOST_SERIES],
        }
        if "pie" not in kinds:
            found["x"], found["y"] = self.x.described(), self.y.described()
        if self._is_solid:
            found["z"] = Scale(self.axes.zaxis).described()
        if (colour := self._colour_bar()) is not None:
            found["color"] = colour
        if self._legend is not None:
            found["legend"] = entries(self._legend)
            if title := text(self._legend.get_title().get_text()):
                found["legend_title"] = title
        if notes := self._notes():
            found["annotations"] = notes
        if left_out := len(self.series) - len(found["series"]):
            found["series_left_out"] = left_out
        return {name: value for name, value in found.items() if value not in ("", [], {}) or name == "series"}

    def _kind(self, kinds: list[str]) -> str:
        if not kinds:
            return "empty" if not self.series else "line"
        if self._is_polar:
            return "polar"
        if self._is_solid:
            return "3d"
        if "bar" in kinds:
            kinds = [*kinds, _kind_of_bars([series for series in self.series if series["kind"] == "bar"])]
        if (
            "area" in kinds
            and "line" in kinds
            and not any(_is_filled(s) for s in self.series if s["kind"] == "area")
        ):
            kinds = [kind for kind in kinds if kind != "area"]  # a band around a line
        elif "area" in kinds and kinds.count("line") <= kinds.count("area"):
            kinds = [kind for kind in kinds if kind != "line"]  # the edges of what is filled
        return min(kinds, key=lambda kind: _PRIORITY.index(kind) if kind in _PRIORITY else len(_PRIORITY))

    def _colour_bar(self) -> Document | None:
        for one in (*self.axes.images, *self.axes.collections):
            bar = getattr(one, "colorbar", None)
            if bar is None:
                continue
            axis = bar.ax.yaxis if bar.orientation == "vertical" else bar.ax.xaxis
            label = text(axis.get_label_text() or "")
            found = {
                "label": label,
                "unit": unit_of(label),
                "min": number(one.norm.vmin),
                "max": number(one.norm.vmax),
            }
            return {name: value for name, value in found.items() if value not in (None, "")}
        return None

    def _notes(self) -> list[str]:
        """Words that were written into the axes, and are no labels of a pie nor the values of bars and grids."""
        words = [text(one.get_text()) for one in self.axes.texts if one.get_visible()]
        words = [one for one in words if one]
        for table in self.axes.tables:
            cells = table.get_celld()
            rows = sorted({row for row, _ in cells})
            words += [
                " | ".join(text(cells[at].get_text().get_text()) for at in sorted(cells) if at[0] == row)
                for row in rows[:MOST_NOTES]
            ]
        kinds = {series["kind"] for series in self.series}
        if "pie" in kinds:
            return []
        if "bar" in kinds:
            words = [one for one in words if number(one.rstrip("%").replace(",", "")) is None]
        if "heatmap" in kinds:
            cells = max((s.get("count", 0) for s in self.series if s["kind"] == "heatmap"), default=0)
            if len(words) >= cells:
                words = words[cells:]
        return words[:MOST_NOTES]


def _kind_of_bars(series: list[Document]) -> str:
    if len(series) < 2:
        return "bar"
    return "stacked_bar" if any("base" in one for one in series) else "grouped_bar"


def _is_filled(series: Document) -> bool:
    """Whether an area begins at zero, and is no band around a line."""
    return "x" in series and "base" not in series


def entries(legend: Any) -> list[str]:
    return [text(words.get_text()) for words in legend.get_texts()][:MOST_SERIES]
