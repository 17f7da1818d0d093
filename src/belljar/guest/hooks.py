"""What is changed about modules of others when they are imported, and what stands in for one that is not there."""

from __future__ import annotations

import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from belljar.guest import cell, display, streams


class _Patches(importlib.abc.MetaPathFinder):
    """Changes modules right after they were imported, in the zygote or in a guest."""

    def __init__(self, patches: dict[str, Callable[[Any], None]]) -> None:
        self._patches = patches

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        patch = self._patches.pop(name, None)
        if patch is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            patch(module)

        loader.exec_module = exec_module
        return spec


class _StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The parts of IPython that cells import, for a runtime without it: asked when nobody else has it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "IPython" and not name.startswith("IPython."):
            return None
        from belljar.guest import ipython

        if name not in ipython.MODULES:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin="belljar", is_package=True)

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        from belljar.guest import ipython

        ipython.fill(module)


def install() -> None:
    """In the zygote, before it imports anything for the code."""
    patches: dict[str, Callable[[Any], None]] = {
        **display.PATCHES,
        "matplotlib": _look_for_fonts_silently,
        "tqdm.notebook": _draw_plain_bars,
        "getpass": _ask_here,
        "multiprocessing.spawn": _carry_main,
        "IPython.core.display_functions": _display_here,
    }
    for name in list(patches):
        if name in sys.modules:
            patches.pop(name)(sys.modules[name])
    sys.meta_path.insert(0, _Patches(patches))
    sys.meta_path.append(_StandIn())
    own: Any = builtins
    own.input, own.display = streams.asked, _displayed
    os.register_at_fork(before=cell.hand_on_output)
    _patch_popen()


def _patch_popen() -> None:
    popen: Any = subprocess.Popen
    start = popen.__init__

    def started(own: Any, *args: Any, **kwargs: Any) -> None:
        cell.hand_on_output()
        start(own, *args, **kwargs)

    started.__wrapped__, started.__doc__ = start, start.__doc__  # type: ignore[attr-defined]
    popen.__init__ = started


def _displayed(*values: object, **more: Any) -> Any:
    """Show values, each as what it is: a table, a picture, a formula."""
    from belljar.guest import rich

    return rich.display(*values, **more)


_displayed.__name__ = _displayed.__qualname__ = "display"


def _ask_here(getpass: Any) -> None:
    getpass.getpass = streams.asked_secretly


def _look_for_fonts_silently(_: Any) -> None:
    """That it takes long on a busy machine is no word of the code's, and none for whoever reads its stderr."""
    import logging  # as matplotlib has

    def is_told(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Matplotlib is building the font cache")

    logging.getLogger("matplotlib.font_manager").addFilter(is_told)


def _draw_plain_bars(notebook: Any) -> None:
    """Progress is told as text where there are no widgets."""
    if notebook.IProgress is not None:
        return
    bar = notebook.std_tqdm

    def trange(*args: Any, **more: Any) -> Any:
        return bar(range(*args), **more)

    notebook.tqdm = notebook.tqdm_notebook = bar
    notebook.trange = notebook.tnrange = trange


def _carry_main(spawn: Any) -> None:
    """Have a process that is spawned know what the cells have defined."""
    prepare = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        from belljar.guest import spawned

        data: dict[str, Any] = prepare(name)
        if not {"init_main_from_name", "init_main_from_path"} & data.keys():
            data["init_main_from_path"] = spawned.written()
        return data

    spawn.get_preparation_data = get_preparation_data


def _display_here(functions: Any) -> None:
    """IPython itself is there: what it is asked to display comes here."""
    from belljar.guest import rich

    functions.display, functions.update_display = rich.display, rich.update_display
    functions.clear_output, functions.publish_display_data = rich.clear_output, rich.publish
    functions.DisplayHandle = rich.DisplayHandle
