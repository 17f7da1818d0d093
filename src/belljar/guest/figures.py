"""matplotlib figures: as pictures with their facts, each once in a run, in the order in which it happened.

What counts is a *state* of a figure: until the code changes it, it is one chart with one id, however often it is shown
and saved. A chart that the code has saved as a picture among the results is there already, and is not shown besides;
as PDF or SVG it is a file to download, and the picture is shown. In a session that lives on the last charts are kept,
as copies, to be drawn again in another size or format.
"""

from __future__ import annotations

import functools
import io
import os
import pickle
import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from belljar.guest import canvases, charts, display

CHART = "application/vnd.belljar.chart+json"
MOST_SHOWN = 256
"""In one run: more are not taken by the keeper, and not worth the drawing."""
MOST_TOLD = 256
"""Charts in one run whose facts are told, and that are kept."""
MOST_KEPT = 20
MOST_KEPT_BYTES = 32 * 1024 * 1024
MOST_PIXELS = 40_000_000
"""Of a chart that is drawn again: four bytes each, in the session's own memory."""
MOST_PICTURE_BYTES = 11 * 1024 * 1024
"""Of all formats of a chart together: what fits into one message, beside what else is said of it."""
TYPES = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}
_PICTURES = {"png", "apng", "jpg", "jpeg", "gif", "webp"}


@dataclass
class _State:
    """Of a figure, since the code has last changed it."""

    chart_id: str
    run: int = -1
    """The last one that has given it out, shown or saved."""
    is_kept: bool = False
    facts: bytes = b""


class _Kept:
    """The last charts, oldest first: a pickle each, or the figure itself where it cannot be copied."""

    def __init__(self) -> None:
        self.prefix = os.urandom(4).hex()
        self.made = 0
        self._bytes = 0
        self._charts: OrderedDict[str, Any] = OrderedDict()

    def new_id(self) -> str:
        self.made += 1
        return f"chart_{self.prefix}_{self.made}"

    def keep(self, chart_id: str, figure: Any) -> None:
        kept: Any = figure
        try:
            room = _Room(MOST_KEPT_BYTES // 2)
            pickle.Pickler(room, 5).dump(figure)
            kept = room.getvalue()
        except _Full:
            return
        except Exception:
            kept = figure  # with a function of the code's own in it, say: drawn again, it is as it is by then
        self._bytes += _size(kept)
        self._charts[chart_id] = kept
        while len(self._charts) > MOST_KEPT or self._bytes > MOST_KEPT_BYTES:
            _, gone = self._charts.popitem(last=False)
            self._bytes -= _size(gone)

    def find(self, chart_id: str) -> Any:
        """The chart. Raises LookupError, whose text is `unknown` or `forgotten`."""
        if chart_id in self._charts:
            return self._charts[chart_id]
        start, _, count = chart_id.rpartition("_")
        is_ours = start == f"chart_{self.prefix}" and count.isdecimal() and 0 < int(count) <= self.made
        raise LookupError("forgotten" if is_ours else "unknown")


class _Full(Exception):
    """A copy would be too large."""


class _Room(io.BytesIO):
    """Takes so many bytes, and no more."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most

    def write(self, data: Any, /) -> int:
        self._left -= memoryview(data).nbytes
        if self._left < 0:
            raise _Full
        return super().write(data)


def _size(kept: Any) -> int:
    """In bytes. What a figure itself holds is not known: there may be eight."""
    return len(kept) if isinstance(kept, bytes) else MOST_KEPT_BYTES // 8


_states: WeakKeyDictionary[Any, _State] = WeakKeyDictionary()
_kept: list[_Kept] = []
"""One, from the first chart of this process on."""


def kept() -> _Kept:
    """The charts of this interpreter."""
    if not _kept:
        _kept.append(_Kept())
    return _kept[0]


# -- what matplotlib is changed by -----------------------------------------------------------------------------


def watch_figures(module: Any) -> None:
    """Of matplotlib.figure: `Figure.show` shows the figure here."""

    def show(self: Any, *_: Any, **__: Any) -> None:
        """Display the figure as it is now."""
        emit(self)

    module.Figure.show = show


def watch_canvases(module: Any) -> None:
    """Of matplotlib.backend_bases: what is saved as a picture is known."""
    canvas_class = module.FigureCanvasBase
    method = canvas_class.print_figure

    @functools.wraps(method)
    def print_figure(self: Any, filename: Any, *args: Any, **kwargs: Any) -> Any:
        if not display.can_emit():
            return method(self, filename, *args, **kwargs)
        figure = self.figure
        state = _state(figure)
        kind = kwargs.get("format") or (args[4] if len(args) > 4 else None)
        canvases.fresh(self)
        with canvases.laid_out(figure, kwargs.get("bbox_inches")):
            result = method(self, filename, *args, **kwargs)
        _settle(figure)
        if (file := _result_file(filename, kind, self.get_default_filetype)) is not None:
            _saved(figure, state, *file)
        return result

    canvas_class.print_figure = print_figure


def watch_animations(module: Any) -> None:
    """Of matplotlib.animation: an animation that is saved is the picture of its figure."""
    animation_class = module.Animation
    method = animation_class.save

    @functools.wraps(method)
    def save(self: Any, filename: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, filename, *args, **kwargs)
        figure = self._fig
        if display.can_emit() and (file := _result_file(filename, None, lambda: "")) is not None:
            _settle(figure)
            _saved(figure, _state(figure), *file)
        return result

    animation_class.save = save


def watch_pyplot(module: Any) -> None:
    """Of matplotlib.pyplot: `show` shows what is open here."""

    def show(*_: Any, **__: Any) -> None:
        """Display all open figures and close them."""
        emit_open(module)

    module.show = show
    canvases.save_once(module)


def _result_file(filename: Any, kind: str | None, default: Any) -> tuple[str, str] | None:
    """The path, and the kind, of a saved file that is handed out with the run's results."""
    name = filename
    if not isinstance(name, str | os.PathLike):
        name = getattr(filename, "name", None) if hasattr(filename, "write") else None
        if not isinstance(name, str):
            return None
        if hasattr(filename, "flush"):
            filename.flush()  # or nothing of it is there yet
    path = os.path.realpath(os.fspath(name))
    extension = os.path.splitext(path)[1].lstrip(".")
    if not extension and kind is None and not os.path.exists(path):
        extension = default()
        path = f"{path.rstrip('.')}.{extension}"
    if not path.startswith(f"{os.path.realpath(display.run.files)}/"):
        return None
    return path, (kind or extension or default()).lower()


# -- charts ----------------------------------------------------------------------------------------------------


def _state(figure: Any) -> _State:
    state = _states.get(figure)
    if state is None or figure.stale:
        state = _states[figure] = _State(kept().new_id())
    return state


def _settle(figure: Any) -> None:
    """What is drawn has not changed by that, whatever size and colours it was drawn with."""
    figure.stale = False


def _is_empty(figure: Any) -> bool:
    parts = (
        figure.axes,
        figure.texts,
        figure.lines,
        figure.images,
        figure.patches,
        figure.artists,
        figure.legends,
    )
    return not any(parts) and not getattr(figure, "subfigs", ())


def _saved(figure: Any, state: _State, path: str, kind: str) -> None:
    """It is a file among the results: as a picture, it is not shown besides."""
    run = display.run
    if run.asked is not None:
        emit(figure)  # who asks for formats gets every chart in them
    elif kind in _PICTURES:
        state.run = run.number
    try:
        inode = os.stat(path).st_ino
    except OSError:
        return  # the code's own writer has put it elsewhere
    if told := _told(figure, state):
        display.tell_of_file(inode, told)


def _told(figure: Any, state: _State) -> bytes:
    """The chart's facts, and the chart kept; of charts beyond the most nothing."""
    run = display.run
    if not state.facts:
        if run.told >= MOST_TOLD:
            return b""
        run.told += 1
        if run.asked is not None:
            figure.draw_without_rendering()  # it was perhaps a copy that was drawn
            _settle(figure)
        try:
            state.facts = with_id(charts.facts(figure), state.chart_id)
        except Exception:
            return b""  # of an artist of the code's own, that is made otherwise: the picture stands alone
    if run.keeps and not state.is_kept:
        state.is_kept = True
        kept().keep(state.chart_id, figure)
    return state.facts


def with_id(facts: bytes, chart_id: str) -> bytes:
    """A document of JSON with the chart's id in it."""
    return b'{"id": "' + chart_id.encode() + b'", ' + facts[1:] if facts else b""


def emit(figure: Any) -> None:
    """Show it as it is now, unless this run has shown that already."""
    if display.can_emit() and (data := bundle(figure)) is not None:
        display.emit("display_data", data)


def bundle(figure: Any) -> dict[str, bytes] | None:
    """The figure as it is now, by media type; None where this run has given it out already."""
    run = display.run
    state = _state(figure)
    if state.run == run.number or _is_empty(figure):
        return None
    if run.shown >= MOST_SHOWN:
        state.run = run.number
        return {"text/plain": b""}  # one more that is left out, for whoever counts
    data = drawn(figure, run.asked or {})
    data["text/plain"] = repr(figure).encode("utf-8", "backslashreplace")
    state.run = run.number
    run.shown += 1
    if told := _told(figure, state):
        data[CHART] = told
    return data


def drawn(figure: Any, asked: dict[str, Any]) -> dict[str, bytes]:
    """The figure in all formats that are asked for, by media type, as far as they fit into one message."""
    data: dict[str, bytes] = {}
    left = MOST_PICTURE_BYTES
    for kind in asked.get("formats") or ("png",):
        body = draw_sized(figure, kind, asked)
        if len(body) > left:
            words = (
                f"A chart is left out as {kind}: it has {len(body):,} bytes, and there is room for {left:,}."
            )
            print(words, file=sys.stderr)
            continue
        left -= len(body)
        data[TYPES[kind]] = body
    return data


def emit_open(pyplot: Any) -> None:
    """Show all figures that are open, and close them. Raises, behind all others, what one could not be drawn for."""
    failures: list[Exception] = []
    try:
        for number in pyplot.get_fignums():
            try:
                emit(pyplot.figure(number))
            except Exception as error:
                failures.append(error)
    finally:
        pyplot.close("all")
    if failures:
        if len(failures) > 1:
            failures[0].add_note(f"{len(failures) - 1} more figures could not be drawn either.")
        raise failures[0]


def draw(figure: Any, kind: str, *, dpi: float | None = None, is_exact: bool = False) -> bytes:
    """The picture, cut to what is on it unless it has to have the figure's size."""
    canvas = figure.canvas
    canvases.fresh(canvas)
    # Not by `savefig`, which this would be taken for a picture of the code's by.
    method = type(canvas).print_figure
    save = functools.partial(getattr(method, "__wrapped__", method), canvas)
    picture = canvases.drawn_once(figure, save, dpi) if kind == "png" and not is_exact else None
    if picture is None:
        buffer = io.BytesIO()
        more: dict[str, Any] = {} if is_exact else {"bbox_inches": "tight"}
        save(buffer, format=kind, dpi=dpi, **more)
        picture = buffer.getvalue()
    _settle(figure)
    return picture


def draw_sized(figure: Any, kind: str, asked: dict[str, Any]) -> bytes:
    """The picture as it is asked for: `dpi`, and `width` and `height` in pixels. Raises ValueError for too many."""
    width, height, dpi = asked.get("width"), asked.get("height"), asked.get("dpi")
    if not (width or height or dpi):
        return draw(figure, kind)
    dots = float(dpi or figure.dpi)
    inches = [float(side) for side in figure.get_size_inches()]
    if width and not height:
        size = [width / dots, width / dots * inches[1] / inches[0]]
    elif height and not width:
        size = [height / dots * inches[0] / inches[1], height / dots]
    else:
        size = [width / dots, height / dots] if width and height else inches
    pixels = round(size[0] * dots) * round(size[1] * dots)
    if pixels > MOST_PIXELS:
        raise ValueError(
            f"the chart would have {round(size[0] * dots)} by {round(size[1] * dots)} pixels, more than "
            f"{MOST_PIXELS:,} in all: ask for a smaller dpi, width or height"
        )
    if size == inches:
        return draw(figure, kind, dpi=dots)
    try:
        copy = _copied(pickle.dumps(figure, 5))
    except Exception:
        figure.set_size_inches(size)
        try:
            return draw(figure, kind, dpi=dots, is_exact=True)
        finally:
            figure.set_size_inches(inches)
            _settle(figure)
    if copy.get_layout_engine() is None:
        copy.set_layout_engine("tight")  # nothing is cut off here, so it has to fit
    copy.set_size_inches(size)
    return draw(copy, kind, dpi=dots, is_exact=True)


def _copied(pickled: bytes) -> Any:
    """A figure out of its copy, which pyplot is not to know."""
    figure = pickle.loads(pickled)  # noqa: S301 - our own, or what the code itself has made of it
    manager = figure.canvas.manager
    if manager is not None:
        sys.modules["matplotlib._pylab_helpers"].Gcf.destroy(manager)
        figure.canvas.manager = None
    return figure


def draw_again(asked: dict[str, Any]) -> dict[str, bytes]:
    """A kept chart, {chart_id, format, dpi, width, height}. Raises LookupError, and ValueError for what cannot be."""
    found = kept().find(asked["chart_id"])
    figure = _copied(found) if isinstance(found, bytes) else found
    body = draw_sized(figure, asked["format"], asked)
    if len(body) > MOST_PICTURE_BYTES:
        raise ValueError(
            f"as {asked['format']} the chart has {len(body):,} bytes, more than {MOST_PICTURE_BYTES:,}: "
            "ask for png, or a smaller size"
        )
    return {TYPES[asked["format"]]: body}
