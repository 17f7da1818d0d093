"""What code that was written for notebooks speaks to: `get_ipython()`, and the magics of cells.

Loaded when a cell first needs it. Each magic does what it does in a notebook, or raises a UsageError that says what to
do instead.
"""

from __future__ import annotations

import builtins
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from belljar.guest import bash
from belljar.guest.magics import (
    Cell,
    Line,
    UsageError,
    commands,
    packages,
    settings,
    showing,
    timing,
    variables,
)

if TYPE_CHECKING:
    from belljar.guest.cell import Guest

_EXPRESSION = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|\$\$|\$([A-Za-z_]\w*)")
_PIP = re.compile(
    r"\s*(?:sudo\s+)?(?:\S*python[\d.]*\s+-m\s+|uv\s+)?(pip[\d.]*|conda|mamba)\s+(.*)", re.DOTALL
)
_CHAINED = re.compile(r"&&|\|\||[;|\n`]|\$\(")
_REDIRECTED = re.compile(r"\s+[012&]?>>?\s*[^\s=]\S*")
_KINDS = (timing, packages, commands, showing, variables, settings)
LINE_MAGICS: dict[str, Line] = {name: magic for kind in _KINDS for name, magic in kind.LINES.items()}
CELL_MAGICS: dict[str, Cell] = {name: magic for kind in _KINDS for name, magic in kind.CELLS.items()}
_EVENTS = ("pre_execute", "pre_run_cell", "post_execute", "post_run_cell")


class Lines(list[str]):
    """What a command has printed, line by line."""

    @property
    def l(self) -> list[str]:  # noqa: E743 - a notebook's name for it
        return list(self)

    @property
    def n(self) -> str:
        return "\n".join(self)

    @property
    def s(self) -> str:
        return " ".join(self)

    list, nlstr, spstr = l, n, s

    def grep(self, pattern: str | Callable[[str], bool], prune: bool = False) -> Lines:
        """The lines that match, or with `prune` the others."""
        holds = pattern if callable(pattern) else lambda line: re.search(pattern, line, re.IGNORECASE)
        return Lines(line for line in self if bool(holds(line)) != prune)

    def fields(self, *numbers: int) -> Any:
        """Words of each line, by their numbers."""
        words = [line.split() for line in self]
        if not numbers:
            return words
        return Lines(" ".join(line[n] for n in numbers if -len(line) <= n < len(line)) for line in words)


class Events:
    """What is called before and after each cell."""

    def __init__(self) -> None:
        self.callbacks: dict[str, list[Callable[..., Any]]] = {name: [] for name in _EVENTS}

    def register(self, event: str, function: Callable[..., Any]) -> None:
        if event not in self.callbacks:
            raise ValueError(f"{event!r} is no event; there are {', '.join(_EVENTS)}")
        if function not in self.callbacks[event]:
            self.callbacks[event].append(function)

    def unregister(self, event: str, function: Callable[..., Any]) -> None:
        self.callbacks[event].remove(function)

    def trigger(self, event: str, *args: Any) -> None:
        for function in list(self.callbacks[event]):
            try:
                function(*args)
            except Exception as error:
                print(f"{event}: {function!r} raised {type(error).__name__}: {error}", file=sys.stderr)


class Shell:
    """One for a session. `user_ns` are the variables of its cells."""

    ast_node_interactivity = "last_expr"

    def __init__(self, guest: Guest, namespace: dict[str, Any]) -> None:
        self.guest = guest
        self.user_ns = self.user_global_ns = namespace
        self.config: dict[str, Any] = {}
        self.events = Events()
        self.magics, self.cell_magics = dict(LINE_MAGICS), dict(CELL_MAGICS)
        self.autoreload = settings.Autoreload()
        self.hidden = frozenset({"get_ipython"})
        """Names that nobody has made."""

    def __repr__(self) -> str:
        return "<get_ipython(): magics, shell commands and variables of this session's cells>"

    @property
    def execution_count(self) -> int:
        return self.guest.count

    @property
    def user_module(self) -> Any:
        return sys.modules["__main__"]

    # -- cells ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A cell is about to be run."""
        self.autoreload.reload_changed(self.user_ns)
        self.events.trigger("pre_execute")
        self.events.trigger("pre_run_cell", SimpleNamespace(raw_cell="", cell_id=None))

    def end(self) -> None:
        """A cell has been run."""
        self.events.trigger("post_execute")
        self.events.trigger("post_run_cell", SimpleNamespace(success=None, result=None))

    def execute(self, code: str, line: int = 1, column: int = 0, filename: str = "") -> Any:
        """Run code that stands in a cell from `line` on, and return the value of its last expression."""
        from belljar.guest import notebook

        filename = filename or self.place()[0]
        tree = notebook.parsed(code, filename, self.user_ns, line, column)
        return self.guest.run_tree(tree, filename)

    def place(self) -> tuple[str, int]:
        """Which line of which cell calls us."""
        frame: Any = sys._getframe()
        while frame is not None and not frame.f_code.co_filename.startswith("<cell "):
            frame = frame.f_back
        return (frame.f_code.co_filename, frame.f_lineno) if frame else ("<cell 0>", 1)

    def run_all(self, tree: Any, filename: str) -> None:
        """Run a cell statement by statement, and show the value of each expression among them."""
        import ast

        for statement in tree.body:
            value = self.guest.run_tree(ast.Module([statement], []), filename)
            if value is not None:
                self.guest.show(value)

    def run_cell(self, raw_cell: str, *_: Any, **__: Any) -> Any:
        """Run a cell inside of one; what it raises is raised. Its value is the result's."""
        value = self.execute(raw_cell)
        return SimpleNamespace(result=value, success=True, error_in_exec=None, error_before_exec=None)

    def ex(self, code: str) -> None:
        self.execute(code)

    def ev(self, code: str) -> Any:
        return self.execute(code)

    def push(self, variables: dict[str, Any] | str | Iterable[str], **_: Any) -> None:
        """Make variables of the cells."""
        if isinstance(variables, dict):
            self.user_ns.update(variables)
        else:
            names = variables.split() if isinstance(variables, str) else variables
            caller = sys._getframe(1)
            self.user_ns.update(
                {name: caller.f_locals.get(name, caller.f_globals.get(name)) for name in names}
            )

    def drop_by_id(self, variables: dict[str, Any]) -> None:
        for name, value in variables.items():
            if self.user_ns.get(name) is value:
                del self.user_ns[name]

    # -- magics --------------------------------------------------------------------------------------------

    def run_line_magic(self, name: str, line: str = "", *_: Any) -> Any:
        """Do what `%name line` does."""
        magic = self.magics.get(name.lstrip("%"))
        if magic is None:
            raise UsageError(self._unknown("%", name, self.magics, name in self.cell_magics))
        return magic(self, line)

    def run_cell_magic(self, name: str, line: str, cell: str) -> Any:
        """Do what a cell does that begins with `%%name line`."""
        magic = self.cell_magics.get(name.lstrip("%"))
        if magic is None:
            raise UsageError(self._unknown("%%", name, self.cell_magics, name in self.magics))
        return magic(self, line, cell)

    def magic(self, line: str) -> Any:
        name, _, rest = line.strip().lstrip("%").partition(" ")
        return self.run_line_magic(name, rest.strip())

    line_magic = magic

    def find_line_magic(self, name: str) -> Any:
        return self.magics.get(name)

    def find_cell_magic(self, name: str) -> Any:
        return self.cell_magics.get(name)

    find_magic = find_line_magic

    def _unknown(self, sign: str, name: str, known: Iterable[str], is_other: bool) -> str:
        if is_other:
            other = "at the beginning of a cell, as %%" if sign == "%" else "on a line, as %"
            return f"{sign}{name} is not known, but {other}{name} is"
        return f"{sign}{name} is not known here; there are {', '.join(sign + one for one in sorted(known))}"

    def register_magic_function(
        self, func: Callable[..., Any], magic_kind: str = "line", magic_name: str | None = None
    ) -> None:
        """Have `func(line)`, or for a cell `func(line, cell)`, be a magic."""
        name = magic_name or func.__name__
        if "line" in magic_kind:
            self.magics[name] = lambda _, line: func(line)
        if "cell" in magic_kind:
            self.cell_magics[name] = lambda _, line, cell: func(line, cell)

    def register_magics(self, *classes: Any) -> None:
        """Have the methods of magics' classes be magics."""
        for kind in classes:
            owner = kind(self) if isinstance(kind, type) else kind
            for name in dir(owner):
                for magic_kind, magic_name in getattr(getattr(owner, name), "_belljar_magics", ()):
                    self.register_magic_function(getattr(owner, name), magic_kind, magic_name)

    # -- shell commands ------------------------------------------------------------------------------------

    def var_expand(self, text: str, depth: int = 0) -> str:
        """`{expression}` and `$variable` of the code's, in a command; what is none of it stays as it is."""
        if "{" not in text and "$" not in text:
            return text
        frame: Any = sys._getframe()
        while frame is not None and not frame.f_code.co_filename.startswith("<cell "):
            frame = frame.f_back
        local = frame.f_locals if frame is not None else self.user_ns

        def value(found: re.Match[str]) -> str:
            whole = found[0]
            if whole in ("{{", "}}"):
                return whole[0]
            if whole == "$$":
                return "$"
            expression = found[1] or found[2]
            try:
                return str(eval(expression, self.user_ns, local))  # noqa: S307 - the user's code, in the user's jail
            except Exception:
                return whole  # the shell's own, then

        return _EXPRESSION.sub(value, text)

    def system(self, command: str) -> None:
        """Run a shell command, whose output is ours. Its exit code is in `_exit_code`."""
        command = self.var_expand(command)
        if (found := _PIP.fullmatch(command)) and not _CHAINED.search(found[2]):
            line = _REDIRECTED.sub("", found[2])
            self.run_line_magic("pip" if found[1].startswith("pip") else "conda", line)
            self.user_ns["_exit_code"] = 0
            return
        # In one stream, as in a notebook: so what it prints is told in its order.
        # Not by its own descriptor, where somebody has put himself in the place of stdout: %%capture, say.
        taken = None if sys.stdout is sys.__stdout__ else subprocess.PIPE
        shell = [*bash.COMMAND, "-c", command]
        with subprocess.Popen(shell, stdout=taken, stderr=subprocess.STDOUT) as process:
            for printed in process.stdout or ():
                sys.stdout.write(printed.decode("utf-8", "replace"))
            code = process.wait()
        self.user_ns["_exit_code"] = code if code >= 0 else 128 - code

    system_raw = system_piped = system

    def getoutput(self, command: str, split: bool = True, depth: int = 0) -> Any:
        """What a shell command prints, stderr included: its lines, or without `split` one text."""
        done = subprocess.run(
            [*bash.COMMAND, "-c", self.var_expand(command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        self.user_ns["_exit_code"] = done.returncode
        text = done.stdout.decode("utf-8", "replace")
        return Lines(text.splitlines()) if split else text

    # -- what libraries ask for ----------------------------------------------------------------------------

    def enable_gui(self, gui: object = None) -> None:
        """There are no windows here; figures come back as pictures."""

    def enable_matplotlib(self, gui: object = None) -> tuple[str, str]:
        return "inline", "agg"

    def set_next_input(self, *_: Any, **__: Any) -> None:
        raise UsageError("There is nobody here to whom a next cell could be shown")

    def showtraceback(self, *_: Any, **__: Any) -> None:
        import traceback

        traceback.print_exc()

    def names(self, types: str = "") -> list[str]:
        """Variables of the cells, as %who has them; those of some types, where these are given."""
        wanted = types.split()
        return sorted(
            name
            for name, value in self.user_ns.items()
            if not name.startswith("_")
            and name not in self.hidden
            and (not wanted or type(value).__name__ in wanted)
        )

    def found(self, name: str) -> Any:
        """What a dotted name stands for. Raises UsageError where there is nothing of that name."""
        first, *rest = name.split(".")
        scope = self.user_ns if first in self.user_ns else vars(builtins)
        if first not in scope:
            raise UsageError(f"Object `{name}` not found")
        value = scope[first]
        for part in rest:
            try:
                value = getattr(value, part)
            except AttributeError as error:
                raise UsageError(f"Object `{name}` not found") from error
        return value

    def expanded_path(self, text: str) -> str:
        """A path as it is written behind a magic."""
        text = self.var_expand(text.strip())
        if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
            text = text[1:-1]
        return os.path.expandvars(os.path.expanduser(text))
