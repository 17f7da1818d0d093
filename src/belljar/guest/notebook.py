"""What notebooks know beside Python, as Python: `%magics`, `!commands` and questions (`name?`). Pure.

It is looked at only where a cell does not compile as it stands. Each line stays on its line, so that tracebacks go on
telling the truth.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Container
from typing import Any

_CELL = re.compile(r"%%(\w+|!!|!)[ \t]*(.*)")
_LINE = re.compile(r"(\s*)%(\w+)[ \t]*(.*)", re.DOTALL)
_SHELL = re.compile(r"(\s*)(!!?)(.*)", re.DOTALL)
_ASKED_BEFORE = re.compile(r"(\s*)(\?\??)\s*(%{0,2}[\w.*]+)\s*;?\s*(?:#.*)?")
_ASKED_BEHIND = re.compile(r"(\s*)(%{0,2}[A-Za-z_*][\w.*\[\]'\"]*)(\?\??)\s*;?\s*(?:#.*)?")
_ASSIGNED = re.compile(r"(\s*)([^=!%?#]+?)\s*=\s*([!%])(.*)", re.DOTALL)
_BARE = re.compile(
    r"(\s*)(pip3?|conda|mamba|cd|ls|ll|cat|cp|mv|rm|mkdir|rmdir|pwd|time|timeit|matplotlib)(?:[ \t]+(.*)|[ \t]*)",
    re.DOTALL,
)
"""Magics that are known without their sign, where no variable has the name."""
_QUOTE = re.compile(r"([A-Za-z]{0,2})('''|\"\"\"|'|\")")


_FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def parsed(code: str, filename: str, names: Container[str], line: int = 1, column: int = 0) -> Any:
    """The syntax tree of code that stands at this place of a cell. Raises SyntaxError."""
    try:
        try:
            tree: Any = compile(code, filename, "exec", _FLAGS, dont_inherit=True)
        except SyntaxError:
            tree = tree_of(code, filename, names)
            if tree is None:
                raise
    except SyntaxError as error:
        error.lineno = (error.lineno or 1) + line - 1
        raise error.with_traceback(None) from None
    ast.increment_lineno(tree, line - 1)
    if column:
        for node in ast.walk(tree):
            if hasattr(node, "col_offset"):
                node.col_offset, node.end_col_offset = node.col_offset + column, node.end_col_offset + column  # type: ignore[attr-defined]
    return tree


def tree_of(code: str, filename: str, names: Container[str]) -> Any:
    """The syntax tree of a cell; None where it has nothing of a notebook's. Raises SyntaxError.

    `names` are those of the code's variables.
    """
    found = translated(code, names)
    if found is None:
        return None
    python, lines = found
    try:
        tree: Any = compile(python, filename, "exec", _FLAGS, dont_inherit=True)
    except SyntaxError as error:
        if error.lineno is not None and error.lineno in lines:
            error.text = code.split("\n")[error.lineno - 1]
            error.offset = error.end_offset = None
        raise error.with_traceback(None) from None
    written = code.split("\n")
    for node in ast.walk(tree):
        line = getattr(node, "lineno", None)
        if line in lines:
            # The columns of what stands there now say nothing of what was written: the whole line is meant.
            node.col_offset, node.end_lineno = 0, line  # type: ignore[attr-defined]
            node.end_col_offset = len(written[line - 1].encode("utf-8", "replace"))  # type: ignore[attr-defined]
    return tree


def translated(code: str, names: Container[str]) -> tuple[str, frozenset[int]] | None:
    """Python with as many lines, and which of them (from 1) are not as they were; None where all are."""
    lines = code.split("\n")
    first = next(
        (at for at, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), None
    )
    if first is not None and (cell := _CELL.fullmatch(lines[first].rstrip())):
        body = "\n".join(lines[first + 1 :])
        call = f"get_ipython().run_cell_magic({cell[1]!r}, {cell[2]!r}, {body!r})"
        return "\n".join([*lines[:first], call]), frozenset({first + 1})
    made: list[str] = []
    changed: set[int] = set()
    reader = _Reader()
    at = 0
    while at < len(lines):
        length, line = 1, lines[at]
        if reader.is_at_statement:
            while line.endswith("\\") and at + length < len(lines) and _is_magic(line):
                line = f"{line[:-1]} {lines[at + length].lstrip()}"
                length += 1
            as_python = _call(line, names)
            if as_python is not None:
                changed.add(at + 1)
                made += [as_python, *[""] * (length - 1)]
                at += length
                continue
            length = 1
        reader.read(lines[at])
        made.append(lines[at])
        at += 1
    return ("\n".join(made), frozenset(changed)) if changed else None


def _is_magic(line: str) -> bool:
    return bool(_SHELL.match(line) or _LINE.match(line) or _ASSIGNED.match(line))


def _call(line: str, names: Container[str]) -> str | None:
    """The line as a call, where it is none of Python's."""
    if (found := _ASKED_BEFORE.fullmatch(line)) or (found := _ASKED_BEHIND.fullmatch(line)):
        one, other = str(found[2]), str(found[3])
        asked, mark = (other, one) if one in ("?", "??") else (one, other)
        return f"{found[1]}get_ipython().run_line_magic({'pinfo' if mark == '?' else 'pinfo2'!r}, {asked!r})"
    if found := _SHELL.fullmatch(line):
        method = "getoutput" if found[2] == "!!" else "system"
        return f"{found[1]}get_ipython().{method}({found[3].strip()!r})"
    if found := _LINE.fullmatch(line):
        return f"{found[1]}get_ipython().run_line_magic({found[2]!r}, {found[3].strip()!r})"
    if (found := _ASSIGNED.fullmatch(line)) and _is_target(found[2]):
        if found[3] == "!":
            return f"{found[1]}{found[2]} = get_ipython().getoutput({found[4].strip()!r})"
        if magic := _LINE.fullmatch(f"%{found[4]}"):
            return f"{found[1]}{found[2]} = get_ipython().run_line_magic({magic[2]!r}, {magic[3].strip()!r})"
    if (found := _BARE.fullmatch(line)) and found[2] not in names:
        rest = str(found[3] or "").strip()
        if not re.match(r"(?:[-+*/|&^<>=]=|=|[+*/<>|&^] |[,(\[:])", rest):
            return f"{found[1]}get_ipython().run_line_magic({found[2]!r}, {rest!r})"
    return None


def _is_target(text: str) -> bool:
    try:
        tree = ast.parse(f"{text.strip()} = 0")
    except (SyntaxError, ValueError):
        return False
    return len(tree.body) == 1 and isinstance(tree.body[0], ast.Assign)


class _Reader:
    """Knows, line after line, whether the next one begins a statement: not inside of brackets or of a text."""

    def __init__(self) -> None:
        self._open: list[str] = []
        """Brackets, quotes and, in f-strings, braces, from outside inwards; an f-string's quotes follow an `f`."""
        self._continues = False

    @property
    def is_at_statement(self) -> bool:
        return not self._open and not self._continues

    def read(self, line: str) -> None:
        self._continues = False
        at = 0
        while at < len(line):
            top = self._open[-1] if self._open else ""
            quote = top.removeprefix("f")
            if quote and quote[0] in "'\"":
                at = self._in_text(line, at, quote, is_formatted=top.startswith("f"))
            elif found := _QUOTE.match(line, at):
                # Not behind a letter: that would be no prefix of a text.
                prefix = found[1] if not (at and (line[at - 1].isalnum() or line[at - 1] == "_")) else ""
                self._open.append(("f" if "f" in prefix.lower() else "") + found[2])
                at = found.end()
            elif line[at] == "#":
                break
            else:
                if line[at] in "([{":
                    self._open.append(line[at])
                elif line[at] in ")]}" and self._open:
                    self._open.pop()
                elif line[at] == "\\" and at == len(line) - 1:
                    self._continues = True
                at += 1
        # A text of one line ends with it, whatever it lacks: the compiler will say so.
        while self._open and self._open[-1].removeprefix("f") in ("'", '"') and not line.endswith("\\"):
            self._open.pop()

    def _in_text(self, line: str, at: int, quote: str, *, is_formatted: bool) -> int:
        if line[at] == "\\":
            return at + 2
        if line.startswith(quote, at):
            self._open.pop()
            return at + len(quote)
        if is_formatted and line[at] == "{":
            if line.startswith("{{", at):
                return at + 2
            self._open.append("{")
        return at + 1
