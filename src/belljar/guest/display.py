"""Rich values: matplotlib figures as PNG, each exactly once. Knows matplotlib only once the code imports it."""

from __future__ import annotations

import importlib.abc
import importlib.util
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from belljar.layout import FILES

Emit = Callable[[str, dict[str, bytes]], None]
_emit: list[Emit] = []
"""Where `plt.show()` sends figures while a cell runs; empty in the zygote."""

_SAVED = "_belljar_saved"
_PICTURES = {"png", "jpg", "jpeg", "gif", "webp"}


def set_emit(emit: Emit) -> None:
    """Direct what is displayed from now on to `emit(type, data by media type)`."""
    _emit[:] = [emit]


class _PyplotFinder(importlib.abc.MetaPathFinder):
    """Patches pyplot when it is first imported, whether that is in the zygote or in a guest."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "matplotlib.pyplot":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            _patch(module)

        loader.exec_module = exec_module
        return spec


def hook_pyplot() -> None:
    """Have `matplotlib.pyplot` show figures here, from its import on."""
    sys.meta_path.insert(0, _PyplotFinder())


def _patch(pyplot: Any) -> None:
    from belljar.guest import fonts  # only where there are charts

    fonts.hook_fonts()

    def show(*_: Any, **__: Any) -> None:
        """Display all open figures and close them."""
        show_figures()

    pyplot.show = show
    figure_class = pyplot.Figure
    save = figure_class.savefig

    def savefig(self: Any, fname: Any, *args: Any, **kwargs: Any) -> Any:
        result = save(self, fname, *args, **kwargs)
        if _comes_back(fname, kwargs.get("format") or pyplot.rcParams["savefig.format"]):
            setattr(self, _SAVED, True)  # as that file, and so not a second time as a display
        return result

    savefig.__doc__, savefig.__wrapped__ = save.__doc__, save  # type: ignore[attr-defined]
    figure_class.savefig = savefig


def _comes_back(fname: Any, default: str) -> bool:
    """Whether a saved figure is an image file that is handed out with the run's results."""
    if not isinstance(fname, str | os.PathLike):
        return False
    path = os.path.realpath(fname)
    kind = os.path.splitext(path)[1].lstrip(".") or default
    return path.startswith(f"{FILES}/") and kind.lower() in _PICTURES


def drop_figures() -> None:
    """Close the open figures without showing them."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and hasattr(pyplot, "close"):
        pyplot.close("all")


def show_figures() -> None:
    """Emit the open figures that were not saved to a file, in order, and close all of them."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot is None or not hasattr(pyplot, "get_fignums"):
        return
    try:
        for number in pyplot.get_fignums():
            figure = pyplot.figure(number)
            if getattr(figure, _SAVED, False) or not _emit:
                continue
            _emit[0]("display_data", {"image/png": _png(figure), "text/plain": repr(figure).encode()})
    finally:
        pyplot.close("all")


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    # The class's own savefig, so that this picture does not count as one that the code saved.
    save = getattr(type(figure).savefig, "__wrapped__", type(figure).savefig)
    # A tenth of the time for a picture goes into the last tenth of its size.
    save(figure, buffer, format="png", bbox_inches="tight", pil_kwargs={"compress_level": 2})
    return buffer.getvalue()
