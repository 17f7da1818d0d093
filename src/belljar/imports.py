"""What a program will import, from its text: the names choose what its session has imported already.

A guess that is wrong costs time and nothing else: what was missed is imported when the code asks for it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

MAX_CHARACTERS = 64 * 1024
"""Of all texts together. What stands behind is not looked at: to read so much takes a server a tenth of a second."""
_MAX_ATTACHED = 32
_WORD = re.compile(r"\bimport\b|__import__|import_module")
_LINE = re.compile(
    r"^[ \t]*(?:from[ \t]+([A-Za-z_]\w*)(?:\.[\w.]*)?[ \t]+import\b|import[ \t]+([A-Za-z_][\w., \t]*))",
    re.MULTILINE,
)

_LATER = {
    "plot": "matplotlib",
    "hist": "matplotlib",
    "boxplot": "matplotlib",
    "read_excel": "openpyxl",
    "to_excel": "openpyxl",
    "ExcelWriter": "openpyxl",
}
"""What pandas imports when this is called."""


def imported(code: str, attached: Mapping[str, bytes]) -> list[str]:
    """The first names of all modules that `code` imports, itself or by way of the `attached` modules, by file name."""
    found: set[str] = set()
    pending, seen = [code], set[str]()
    left = MAX_CHARACTERS
    while pending and left > 0:
        text = pending.pop()[:left]
        left -= len(text)
        new = set(_names(text)) - found
        found |= new
        for name in new:
            body = attached.get(f"{name}.py")
            if body is not None and name not in seen and len(seen) < _MAX_ATTACHED:
                seen.add(name)
                pending.append(body[:MAX_CHARACTERS].decode("utf-8", "replace"))
    return sorted(found)


def _names(text: str) -> Iterator[str]:
    if not _WORD.search(text):
        return
    try:
        tree = ast.parse(text.removeprefix("\N{BOM}"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # Cut short, or with lines that are not Python: as much as can be seen line by line.
        for one, several in _LINE.findall(text):
            yield from filter(
                None, (part.strip().partition(".")[0].split(" ")[0] for part in (one or several).split(","))
            )
        return
    for node in ast.walk(tree):
        yield from _of(node)


def _of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0]
    elif isinstance(node, ast.Attribute) and node.attr in _LATER:
        yield _LATER[node.attr]
    elif isinstance(node, ast.Call) and node.args:
        name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
        first = node.args[0]
        if (
            name in ("__import__", "import_module")
            and isinstance(first, ast.Constant)
            and isinstance(first.value, str)
        ):
            yield first.value.partition(".")[0]
