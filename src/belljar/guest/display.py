"""Rich values that libraries show by themselves: figures of matplotlib and plotly, and pictures of Pillow.

Knows a library only once the code imports it: then a few of its functions are made to show what they show here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from belljar.layout import FILES

Emit = Callable[..., None]
Tell = Callable[[int, bytes], None]
_emit: list[Emit] = []
"""Where figures go that are shown while a cell runs; empty in the zygote."""
_tell: list[Tell] = []


@dataclass
class Run:
    """The run under way, as far as charts go."""

    number: int = -1
    files: str = FILES
    """Below it lie the results."""
    keeps: bool = False
    """The session lives on, so that its charts may be asked for again."""
    asked: dict[str, Any] | None = None
    """Formats, dpi, width and height of all charts, where the caller has said so."""
    shown: int = 0
    told: int = 0


run = Run()


def set_emit(emit: Emit, tell: Tell) -> None:
    """Direct what is displayed from now on to `emit(type, data by media type)`, which may get metadata
    and an id, and what is known of the chart in a
    file to `tell(inode, facts)`."""
    _emit[:], _tell[:] = [emit], [tell]


def begin(number: int, files: str, *, keeps: bool, asked: dict[str, Any] | None) -> None:
    """A run begins: what it shows is counted anew."""
    run.number, run.files, run.keeps, run.asked = number, files, keeps, asked
    run.shown = run.told = 0


def can_emit() -> bool:
    """Whether there is anybody to show something to."""
    return bool(_emit)


def emit(kind: str, *shown: Any) -> None:
    """Display it, where a cell runs."""
    if _emit:
        _emit[0](kind, *shown)


def tell_of_file(inode: int, facts: bytes) -> None:
    """Say what the chart in a file of the results shows."""
    if _tell:
        _tell[0](inode, facts)


def bundle(value: Any) -> dict[str, bytes] | None:
    """A figure or a picture by media type, its text alone where this run has shown it already; None for any other."""
    if _is_a(value, "matplotlib.figure", "Figure"):
        from belljar.guest import figures

        return figures.bundle(value) or {"text/plain": repr(value).encode("utf-8", "backslashreplace")}
    if _is_a(value, "plotly.basedatatypes", "BaseFigure"):
        from belljar.guest import plotly_charts

        return plotly_charts.bundle(value) or {"text/plain": plotly_charts.summary(value)}
    if _is_a(value, "PIL.Image", "Image"):
        from belljar.guest import pictures

        return pictures.bundle(value)
    return None


def _is_a(value: Any, module: str, name: str) -> bool:
    """Whether it is of a class of a library, if that is loaded."""
    owner = getattr(sys.modules.get(module), name, None)
    return isinstance(owner, type) and isinstance(value, owner)


def drop_figures() -> None:
    """Close the open figures without showing them."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and hasattr(pyplot, "close"):
        pyplot.close("all")


def show_figures() -> None:
    """Show the open figures that this run has not given out yet, in order, and close all of them."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and hasattr(pyplot, "get_fignums"):
        from belljar.guest import figures

        figures.emit_open(pyplot)


# -- by the name of the module that is patched ---------------------------------------------------------------


def _patch_figure(module: Any) -> None:
    from belljar.guest import figures, fonts  # only where there are charts

    fonts.hook_fonts()
    figures.watch_figures(module)


def _patch_canvases(module: Any) -> None:
    from belljar.guest import figures

    figures.watch_canvases(module)


def _patch_agg(module: Any) -> None:
    from belljar.guest import canvases

    canvases.watch_agg(module)


def _patch_animations(module: Any) -> None:
    from belljar.guest import figures

    figures.watch_animations(module)


def _patch_pyplot(module: Any) -> None:
    from belljar.guest import figures

    figures.watch_pyplot(module)


def _patch_axes(module: Any) -> None:
    from belljar.guest import remembered

    remembered.watch_axes(module)


def _patch_plotly(module: Any) -> None:
    from belljar.guest import plotly_charts

    plotly_charts.watch_figures(module)


def _patch_renderers(module: Any) -> None:
    from belljar.guest import plotly_charts

    plotly_charts.watch_renderers(module)


def _patch_pictures(module: Any) -> None:
    from belljar.guest import pictures

    pictures.watch_pictures(module)


PATCHES: dict[str, Callable[[Any], None]] = {
    "matplotlib.figure": _patch_figure,
    "matplotlib.backend_bases": _patch_canvases,
    "matplotlib.backends.backend_agg": _patch_agg,
    "matplotlib.animation": _patch_animations,
    "matplotlib.pyplot": _patch_pyplot,
    "matplotlib.axes._axes": _patch_axes,
    "plotly.basedatatypes": _patch_plotly,
    "plotly.io._renderers": _patch_renderers,
    "PIL.Image": _patch_pictures,
}
"""What is done with a module right after its import: see `hooks`."""
