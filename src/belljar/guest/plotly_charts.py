"""plotly figures: their JSON, for who can draw it, and a simple picture by matplotlib, for who cannot.

plotly draws in a browser, and there is none in a session. So what the common kinds of traces show is drawn once more,
as a rendition that says so (`rendition`), and the chart's facts are those of the rendition. What it cannot draw is told
by name, with what to do instead.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from typing import Any
from weakref import ref

from belljar.guest import charts, display, figures, rendition
from belljar.guest.chart_axes import MOST_NOTES
from belljar.guest.chart_series import MOST_SERIES
from belljar.guest.rendition import plain
from belljar.guest.scales import Document

PLOTLY = "application/vnd.plotly.v1+json"
_MOST_JSON_BYTES = 4 * 1024 * 1024
_NO_CHROME = (
    "plotly makes images in a browser (Chrome, by the package kaleido), and there is none in this session. Show the "
    "figure instead (fig.show()), save it as a page (fig.write_html('chart.html')), or draw it with matplotlib and use "
    "savefig."
)
_NO_PICTURE = (
    b". There is no picture of it: plotly draws in a browser, there is none in this session, and what stands in for "
    b"one cannot draw this. fig.write_html('chart.html') saves it as a page, which comes back as a file; a picture can "
    b"be drawn with matplotlib."
)

_given: dict[int, tuple[int, bytes, ref[Any]]] = {}
"""By the figure's identity: the run that has last shown it, what it was then, and the figure, as long as it lives."""


def watch_figures(module: Any) -> None:
    """Of plotly.basedatatypes: `show` shows here, and what needs a browser says what to do instead."""

    def show(self: Any, *_: Any, **__: Any) -> None:
        """Display the figure as it is now."""
        emit(self)

    def to_image(self: Any, *_: Any, **__: Any) -> bytes:
        raise RuntimeError(_NO_CHROME)

    module.BaseFigure.show = show
    if importlib.util.find_spec("kaleido") is None:
        module.BaseFigure.to_image = module.BaseFigure.write_image = to_image


def watch_renderers(module: Any) -> None:
    """Of plotly.io._renderers: `plotly.io.show` is the same."""

    def show(fig: Any, *_: Any, **__: Any) -> None:
        """Display the figure, or what describes one."""
        is_figure = hasattr(fig, "to_plotly_json")
        emit(fig if is_figure else importlib.import_module("plotly.graph_objects").Figure(fig))

    module.show = show


def emit(figure: Any) -> None:
    """Show it as it is now, unless this run has shown that already."""
    if display.can_emit() and (data := bundle(figure)) is not None:
        display.emit("display_data", data)


def bundle(figure: Any) -> dict[str, bytes] | None:
    """The figure as it is now, by media type; None where this run has shown that already."""
    run = display.run
    body = figure.to_json().encode("utf-8", "replace")
    digest = hashlib.blake2b(body, digest_size=16).digest()
    state = run.number, digest, ref(figure)
    if (given := _given.get(id(figure))) is not None and given[:2] == state[:2] and given[2]() is figure:
        return None
    _given[id(figure)] = state
    while len(_given) > 1000:
        del _given[next(iter(_given))]
    if run.shown >= figures.MOST_SHOWN:
        return {"text/plain": b""}
    run.shown += 1
    data = {"text/plain": summary(figure)}
    if len(body) <= _MOST_JSON_BYTES:
        data[PLOTLY] = body
    try:
        if (drawn := rendition.drawn_from(figure)) is not None:
            data |= figures.drawn(drawn, run.asked or {})
    except Exception:
        drawn = None  # plotly takes data that matplotlib does not: the figure is shown all the same
    if drawn is None:
        data["text/plain"] += _NO_PICTURE
        return {**data, figures.CHART: charts.within_bounds(lambda _: _bare_facts(figure))}
    if run.told < figures.MOST_TOLD:
        run.told += 1
        chart_id = figures.kept().new_id()
        if run.asked:
            drawn.draw_without_rendering()
        try:
            facts = charts.within_bounds(lambda most: _facts(figure, drawn, most))
        except Exception:
            facts = b""  # the picture stands alone
        data[figures.CHART] = figures.with_id(facts, chart_id)
        if run.keeps:
            figures.kept().keep(chart_id, drawn)
    return data


def _facts(figure: Any, drawn: Any, most_points: int) -> Document:
    found = charts.figure_facts(drawn, most_points)
    found.pop("annotations", None)  # our own word
    notes = [plain(note.text) for note in figure.layout.annotations or () if note.text]
    more = {"library": "plotly", "is_rendition": True, "title": rendition.title_of(figure) or found["title"]}
    titles = {axes.get("title") for axes in found["axes"]}
    if notes := [note for note in notes if note not in titles][:MOST_NOTES]:
        more["annotations"] = notes
    return found | more


def _bare_facts(figure: Any) -> Document:
    """Of a figure of which nothing can be drawn here: a map, or what has three dimensions."""
    series = [{"kind": "other", "name": plain(t.name or t.type)} for t in figure.data[:MOST_SERIES]]
    axes = [{"kind": "other", "series": series}] if series else []
    kind = "other" if series else "empty"
    return {"library": "plotly", "kind": kind, "title": rendition.title_of(figure) or None, "axes": axes}


def summary(figure: Any) -> bytes:
    """What it is, in a few words: its own `repr` has all its data."""
    kinds = [str(trace.type) for trace in figure.data]
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    title = rendition.title_of(figure)
    words = f"plotly figure{f' “{title}”' if title else ''}: {counted or 'no traces'}"
    return words.encode("utf-8", "replace")
