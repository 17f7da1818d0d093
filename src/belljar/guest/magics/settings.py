"""How a session is set: extensions, modules that change, and what there is nothing of here."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from belljar.guest import display
from belljar.guest.magics import Cell, Line, UsageError

if TYPE_CHECKING:
    from belljar.guest.shell import Shell


def _load_ext(shell: Shell, line: str) -> None:
    name = line.strip()
    if name == "autoreload":
        return
    load = getattr(importlib.import_module(name), "load_ipython_extension", None)
    if load is None:
        raise UsageError(f"The module {name} is no extension of notebooks")
    load(shell)


class Autoreload:
    """%autoreload: modules of the working directory that have changed are imported anew before each cell."""

    def __init__(self) -> None:
        self.is_on = False
        self._times: dict[str, float] = {}

    def reload_changed(self, namespace: dict[str, Any]) -> None:
        if not self.is_on:
            return
        own = f"{os.path.realpath(display.run.files)}/"
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__file__", None)
            if not isinstance(path, str) or not path.startswith(own) or name == "__main__":
                continue
            try:
                changed = os.stat(path).st_mtime_ns
            except OSError:
                continue  # it is gone: what was imported stays
            if self._times.setdefault(name, changed) != changed:
                self._times[name] = changed
                self._reload(name, module, namespace)

    def _reload(self, name: str, module: ModuleType, namespace: dict[str, Any]) -> None:
        old = dict(vars(module))
        # Two versions of one second have the same bytecode's name, and none is kept here; but its finder has a cache.
        importlib.invalidate_caches()
        try:
            new = vars(importlib.reload(module))
        except Exception as error:
            print(f"[autoreload of {name} failed: {type(error).__name__}: {error}]", file=sys.stderr)
            return
        for own, value in list(namespace.items()):
            # What was imported out of it by name.
            if own in old and old[own] is value and own in new and not own.startswith("__"):
                namespace[own] = new[own]


def _autoreload(shell: Shell, line: str) -> None:
    mode = (line.split() or ["now"])[0]
    if mode in ("0", "off"):
        shell.autoreload.is_on = False
        return
    shell.autoreload.is_on = True
    shell.autoreload.reload_changed(shell.user_ns)
    shell.autoreload.is_on = mode != "now"


def _nothing(shell: Shell, line: str) -> None:
    """What it would set, there is not here."""


_IGNORED = ("autosave", "colors", "xmode", "unload_ext", "autoawait", "automagic", "gui", "pprint")


def _refusal(why: str) -> Line:
    def refuse(shell: Shell, line: str) -> None:
        raise UsageError(why)

    return refuse


_NO_DEBUGGER = _refusal(
    "Nobody can type here, so no debugger is of use: print what there is to know, or catch the exception"
)
_NO_EDITOR = _refusal("Nobody can edit here: write the code into a cell, or into a file with %%writefile")
_NO_STORE = _refusal("Files of the working directory stay: write with pickle, or keep the variable")


LINES: dict[str, Line] = {
    "load_ext": _load_ext,
    "reload_ext": _load_ext,
    "autoreload": _autoreload,
    **dict.fromkeys(_IGNORED, _nothing),
    **dict.fromkeys(("debug", "pdb"), _NO_DEBUGGER),
    **dict.fromkeys(("edit", "ed", "load"), _NO_EDITOR),
    "store": _NO_STORE,
}
CELLS: dict[str, Cell] = {}
