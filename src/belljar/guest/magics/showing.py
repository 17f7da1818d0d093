"""What is shown, and how."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from belljar.guest import display as figures
from belljar.guest.magics import Cell, Line, UsageError

if TYPE_CHECKING:
    from belljar.guest.shell import Shell


class Captured:
    """What a cell has printed and shown, after %%capture."""

    def __init__(self, stdout: str, stderr: str, outputs: list[Any]) -> None:
        self.stdout, self.stderr, self.outputs = stdout, stderr, outputs

    def __str__(self) -> str:
        return self.stdout

    def show(self) -> None:
        """Print and show it after all."""
        sys.stdout.write(self.stdout)
        sys.stderr.write(self.stderr)
        for kind, *shown in self.outputs:
            figures.emit("display_data" if kind == "execute_result" else kind, *shown)

    __call__ = show


class capture_output:
    """A block whose output is gathered."""

    def __init__(self, stdout: bool = True, stderr: bool = True, display: bool = True) -> None:
        self._takes = stdout, stderr, display
        self._made = Captured("", "", [])

    def __enter__(self) -> Captured:
        import io

        from belljar.guest.cell import get_ipython

        self._displays = get_ipython().guest.displays
        self._before = sys.stdout, sys.stderr, self._displays.into
        if self._takes[0]:
            sys.stdout = io.StringIO()
        if self._takes[1]:
            sys.stderr = io.StringIO()
        if self._takes[2]:
            self._displays.into = self._made.outputs
        return self._made

    def __exit__(self, *_: object) -> None:
        try:
            if self._takes[2]:
                figures.show_figures()
        finally:
            taken = sys.stdout, sys.stderr
            sys.stdout, sys.stderr, self._displays.into = self._before
            for name, stream, is_taken in zip(("stdout", "stderr"), taken, self._takes[:2], strict=True):
                if is_taken:
                    setattr(self._made, name, stream.getvalue())  # type: ignore[union-attr]


def _capture(shell: Shell, line: str, cell: str) -> None:
    words = line.split()
    names = [word for word in words if not word.startswith("-")]
    options = {word.removeprefix("--") for word in words if word.startswith("-")}
    if len(names) > 1 or options - {"no-stdout", "no-stderr", "no-display"}:
        raise UsageError("%%capture [--no-stdout] [--no-stderr] [--no-display] [NAME]")
    place = shell.place()
    with capture_output(*(f"no-{name}" not in options for name in ("stdout", "stderr", "display"))) as made:
        if names:
            shell.user_ns[names[0]] = made
        value = shell.execute(cell, place[1] + 1, 0, place[0])
        if value is not None:
            shell.guest.show(value)


def _shows(kind: str) -> Cell:
    def show(shell: Shell, line: str, cell: str) -> None:
        from belljar.guest import ipython, rich

        rich.display(getattr(ipython, kind)(cell))

    return show


def _matplotlib(shell: Shell, line: str) -> None:
    backend = line.split()[0] if line.split() else "inline"
    if backend not in ("inline", "agg", "Agg", "auto", "--list", "-l"):
        print(
            f"%matplotlib {backend}: figures come back as pictures here, as with `inline`.", file=sys.stderr
        )


def _pylab(shell: Shell, line: str) -> None:
    _matplotlib(shell, line)
    shell.execute("import numpy, numpy as np, matplotlib.pyplot as plt\nfrom pylab import *")


def _config(shell: Shell, line: str) -> None:
    if not re.match(
        r"(InlineBackend|IPCompleter|Completer|InteractiveShell|ZMQInteractiveShell)\b", line.strip()
    ):
        raise UsageError("%config: there is nothing to configure; figures come back as PNG")
    if found := re.search(r"ast_node_interactivity\s*=\s*(.+)", line):
        type(shell).ast_node_interactivity = found[1].strip("'\" ")


LINES: dict[str, Line] = {
    "matplotlib": _matplotlib,
    "pylab": _pylab,
    "config": _config,
}
CELLS: dict[str, Cell] = {
    "capture": _capture,
    "html": _shows("HTML"),
    "HTML": _shows("HTML"),
    "markdown": _shows("Markdown"),
    "latex": _shows("Latex"),
    "svg": _shows("SVG"),
    "SVG": _shows("SVG"),
    "javascript": _shows("Javascript"),
    "js": _shows("Javascript"),
}
