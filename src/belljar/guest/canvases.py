"""matplotlib draws a figure up to three times for one picture of it. Here it does so once, where that shows the same.

`pyplot.savefig` draws it once more behind each picture, for a window that is not here; whoever has called
`tight_layout` has each picture drawn once ahead, for a layout that is there already; and a picture that is cut to what
is on it is drawn once ahead to see what that is, which the picture itself tells as well.
"""

from __future__ import annotations

import cmath
import contextlib
import functools
import io
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from importlib import import_module
from typing import Any

from belljar.guest import display

_READ = ("draw", "buffer_rgba", "tostring_argb", "copy_from_bbox", "restore_region", "get_renderer")
"""What shows, or uses, what was drawn last: methods of a canvas of Agg."""
_MOST_PIXELS = 8_000_000
"""That are held three times over to be cut: of four bytes each."""
_LEVEL = 3
"""Of a PNG's compression: more takes half as long again for a tenth of the size."""
_beyond: ContextVar[list[bool] | None] = ContextVar("beyond", default=None)
"""While a figure is drawn to be cut: whether something of it lies outside, where it is not drawn."""


def watch_agg(module: Any) -> None:
    """Of matplotlib.backends.backend_agg: PNGs are compressed as far as pays, unless the code says how; and it is seen
    whether a text or a shape lies outside of the picture."""
    renderer_class = module.RendererAgg
    draw_text, draw_path = renderer_class.draw_text, renderer_class.draw_path

    @functools.wraps(draw_text)
    def text_drawn(
        self: Any, gc: Any, x: float, y: float, s: str, prop: Any, angle: float, *args: Any, **kwargs: Any
    ) -> Any:
        beyond = _beyond.get()
        if beyond is not None and gc.get_clip_rectangle() is None:
            ismath = args[0] if args else kwargs.get("ismath", False)
            # Which laying it out has asked for: it is remembered there.
            metrics = import_module("matplotlib.text")._get_text_metrics_with_cache
            width, height, descent = metrics(self, s, prop, ismath, self.dpi)
            turn = cmath.exp(-1j * math.radians(angle))  # y grows downwards
            for corner in (0, width):
                for side in (descent, descent - height):
                    place = complex(x, y) + complex(corner, side) * turn
                    if not (0 <= place.real <= self.width and 0 <= place.imag <= self.height):
                        beyond.append(True)
        return draw_text(self, gc, x, y, s, prop, angle, *args, **kwargs)

    @functools.wraps(draw_path)
    def path_drawn(self: Any, gc: Any, path: Any, transform: Any, *args: Any, **kwargs: Any) -> Any:
        beyond = _beyond.get()
        if beyond is not None and gc.get_clip_rectangle() is None:
            box = path.get_extents(transform)
            if not (box.x0 >= -1 and box.x1 <= self.width + 1 and box.y0 >= -1 and box.y1 <= self.height + 1):
                beyond.append(True)
        return draw_path(self, gc, path, transform, *args, **kwargs)

    renderer_class.draw_text, renderer_class.draw_path = text_drawn, path_drawn
    canvas_class = module.FigureCanvasAgg
    method = canvas_class.print_png

    @functools.wraps(method)
    def print_png(self: Any, filename_or_obj: Any, *, pil_kwargs: Any = None, **more: Any) -> Any:
        return method(
            self, filename_or_obj, pil_kwargs={"compress_level": _LEVEL, **(pil_kwargs or {})}, **more
        )

    canvas_class.print_png = print_png


def save_once(pyplot: Any) -> None:
    """Of matplotlib.pyplot: `savefig` leaves it to whoever looks at the canvas to have it drawn again."""
    method = pyplot.savefig

    @functools.wraps(method)
    def savefig(*args: Any, **kwargs: Any) -> Any:
        figure = pyplot.gcf()
        if not (display.can_emit() and _is_unseen(figure.canvas)):
            return method(*args, **kwargs)
        result = figure.savefig(*args, **kwargs)
        _put_off(figure.canvas)
        return result

    pyplot.savefig = savefig


def _is_unseen(canvas: Any) -> bool:
    """Whether what is drawn on it is seen by those alone who ask for it."""
    is_of_agg = type(canvas) is import_module("matplotlib.backends.backend_agg").FigureCanvasAgg
    return is_of_agg and not (_is_listened_to(canvas) or canvas.is_saving())


def _is_listened_to(canvas: Any) -> bool:
    """Whether somebody counts on being told each time that it is drawn."""
    return bool(canvas.callbacks.callbacks.get("draw_event"))


def _put_off(canvas: Any) -> None:
    """Draw when one of its methods is first called that has to do with what was drawn."""

    def drawn_first(name: str) -> Any:
        def called(*args: Any, **kwargs: Any) -> Any:
            fresh(canvas)
            if name != "draw":
                canvas.draw()
            return getattr(canvas, name)(*args, **kwargs)

        return called

    for name in _READ:
        setattr(canvas, name, drawn_first(name))


def fresh(canvas: Any) -> None:
    """It is about to be drawn in any case."""
    for name in _READ:
        canvas.__dict__.pop(name, None)


@contextlib.contextmanager
def laid_out(figure: Any, bbox_inches: Any) -> Iterator[None]:
    """While it is saved: no drawing ahead of a figure whose layout was made when the code asked for it.

    What stands in for a layout's maker then says only that there was one. A picture that is cut to what is on it has
    to be drawn ahead, to see what that is.
    """
    rc = import_module("matplotlib").rcParams
    is_cut = (rc["savefig.bbox"] if bbox_inches is None else bbox_inches) == "tight"
    is_automatic = rc["figure.autolayout"] or rc["figure.constrained_layout.use"]
    engine = getattr(figure, "_layout_engine", None)
    is_there = type(engine).__name__ == "PlaceHolderLayoutEngine"
    if not is_there or is_cut or is_automatic or _is_listened_to(figure.canvas):
        yield
        return
    figure._layout_engine = None
    try:
        yield
    finally:
        figure._layout_engine = engine


def drawn_once(figure: Any, save: Callable[..., Any], dpi: float | None) -> bytes | None:
    """A PNG, cut to what is on it; None for other canvases, and for one that is too large to be held.

    `save(file, format=, dpi=, bbox_inches=)` saves all of the figure, or that part. The picture is as large as one that
    matplotlib cuts itself, but for a few pixels.
    """
    numpy, rc = import_module("numpy"), import_module("matplotlib").rcParams
    # A figure that is closed has a canvas of no kind, and is drawn by one of Agg.
    base = import_module("matplotlib.backend_bases").FigureCanvasBase
    agg = import_module("matplotlib.backends.backend_agg").FigureCanvasAgg
    if type(figure.canvas) not in (base, agg) or rc["savefig.bbox"] is not None:
        return None
    if not hasattr(import_module("matplotlib.text"), "_get_text_metrics_with_cache"):
        return None  # it is one that is made otherwise
    dots = dpi or rc["savefig.dpi"]
    dots = getattr(figure, "_original_dpi", figure.dpi) if dots == "figure" else dots
    width, height = (int(side * dots) for side in figure.get_size_inches())
    if width * height > _MOST_PIXELS:
        return None
    raw = io.BytesIO()
    beyond: list[bool] = []
    token = _beyond.set(beyond)
    try:
        with laid_out(figure, None):
            save(raw, format="raw", dpi=dpi)
    finally:
        _beyond.reset(token)
    if not width * height * 4 == len(raw.getbuffer()) > 0:
        return None
    drawn = numpy.frombuffer(raw.getbuffer(), numpy.uint32).reshape(height, width)
    is_seen = drawn != drawn[0, 0]
    rows, columns = (numpy.flatnonzero(is_seen.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    is_at_edge = rows[0] == 0 or columns[0] == 0 or rows[-1] == height - 1 or columns[-1] == width - 1
    if beyond or is_at_edge:
        return _drawn_again(figure, save, dots)
    box = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    picture = _cut(drawn, _with_axes(figure, box, width, height), round(rc["savefig.pad_inches"] * dots))
    buffer = io.BytesIO()
    import_module("matplotlib.image").imsave(
        buffer, picture, format="png", dpi=dots, pil_kwargs={"compress_level": _LEVEL}
    )
    return buffer.getvalue()


def _with_axes(
    figure: Any, box: tuple[int, int, int, int], width: int, height: int
) -> tuple[int, int, int, int]:
    """The box (left, right, top, bottom, in pixels) with what is there and not seen: an image's white margin, say."""
    left, right, top, bottom = box
    to_figure = figure.transFigure.inverted()
    for axes in figure.axes:
        if axes.get_visible():
            (x0, y0), (x1, y1) = to_figure.transform(axes.bbox.get_points())
            left, right = min(left, round(x0 * width)), max(right, round(x1 * width))
            top, bottom = min(top, round((1 - y1) * height)), max(bottom, round((1 - y0) * height))
    return left, right, top, bottom


def _cut(drawn: Any, box: tuple[int, int, int, int], margin: int) -> Any:
    """A part of the pixels with a margin, which has the colour of the corner where there is no more of them."""
    numpy = import_module("numpy")
    height, width = drawn.shape
    left, right, top, bottom = box[0] - margin, box[1] + margin, box[2] - margin, box[3] + margin
    picture = numpy.full((bottom - top, right - left), drawn[0, 0], numpy.uint32)
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    inside = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    picture[inside] = drawn[rows, columns]
    return picture.view(numpy.uint8).reshape(*picture.shape, 4)


def _drawn_again(figure: Any, save: Callable[..., Any], dots: float) -> bytes:
    """With what lies outside: cut by what matplotlib knows of all parts of a figure that is drawn, and so laid out."""
    with import_module("matplotlib.cbook")._setattr_cm(figure, dpi=dots):
        box = figure.get_tightbbox()
    box = box.padded(import_module("matplotlib").rcParams["savefig.pad_inches"])
    buffer = io.BytesIO()
    with laid_out(figure, box):
        save(buffer, format="png", dpi=dots, bbox_inches=box)
    return buffer.getvalue()
