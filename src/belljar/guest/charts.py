"""What a matplotlib figure shows, as data: for a model, and for people who cannot see the picture.

Read off the artists after the figure was drawn, so that what the ticks say is known, and within bounds. What comes out
is plain JSON values, and the other side holds it against `belljar.wire.charts`. Knows matplotlib only by what its
objects say, and imports nothing of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from belljar.guest.chart_axes import MOST_NOTES, Page, entries
from belljar.guest.chart_series import MOST_POINTS
from belljar.guest.scales import Document, text

MOST_BYTES = 64 * 1024
MOST_AXES = 30
_SPARSE_POINTS = 10
"""Where a whole chart would be too long."""


def facts(figure: Any) -> bytes:
    """What `figure` shows, which has just been drawn, as JSON of at most MOST_BYTES; empty where it would be more."""
    return within_bounds(lambda most_points: figure_facts(figure, most_points))


def within_bounds(told: Callable[[int], Document]) -> bytes:
    """What is told with as many points of each series as there is room for, as JSON."""
    for most_points in (MOST_POINTS, _SPARSE_POINTS, 0):
        body = json.dumps(told(most_points), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        if len(body) <= MOST_BYTES:
            return body
    return b""


def figure_facts(figure: Any, most_points: int) -> Document:
    """What `figure` shows, with at most so many points of each series."""
    shown = [
        one
        for axes in figure.axes
        for one in (axes, *axes.child_axes)
        if one.get_visible() and not hasattr(one, "_colorbar") and type(one).__name__ != "SecondaryAxis"
    ]
    pages = [Page(axes, most_points) for axes in shown[:MOST_AXES]]
    pages = [page for page in pages if page.series or page.axes.axison] if len(pages) > 1 else pages
    described = []
    for at, page in enumerate(pages):
        document = page.described()
        for before in range(at):
            if _are_twins(pages[before].axes, page.axes):
                document["twin_of"] = before
                break
        described.append(document)
    title = figure.get_suptitle() if hasattr(figure, "get_suptitle") else ""
    kind = _kind_of_figure(described)
    if not title and kind != "subplots":
        title = next((one["title"] for one in described if "title" in one), "")
    width, height = figure.get_size_inches() * figure.dpi
    found: Document = {
        "library": "matplotlib",
        "kind": kind,
        "title": text(title) or None,
        "width": round(width),
        "height": round(height),
        "axes": described,
    }
    names = [entry for legend in figure.legends for entry in entries(legend)]
    if names:
        found["legend"] = names
    written = [words for part in (figure, *figure.subfigs) for words in part.texts]
    notes = [text(words.get_text()) for words in written if words.get_text().strip()]
    if notes := [note for note in notes if note != found["title"]][:MOST_NOTES]:
        found["annotations"] = notes
    if left_out := len(shown) - min(len(shown), MOST_AXES):
        found["axes_left_out"] = left_out
    return found


def _kind_of_figure(pages: list[Document]) -> str:
    if not pages:
        return "empty"
    apart = [page for page in pages if "twin_of" not in page]
    if len(apart) > 1:
        return "subplots"
    return "twin_axes" if len(pages) > 1 else str(pages[0]["kind"])


def _are_twins(one: Any, other: Any) -> bool:
    """Whether two axes lie upon one another, and share one of their directions."""
    shares = one.get_shared_x_axes().joined(one, other) or one.get_shared_y_axes().joined(one, other)
    return bool(shares and (abs(one.get_position().p0 - other.get_position().p0) < 1e-6).all())
