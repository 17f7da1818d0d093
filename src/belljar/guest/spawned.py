"""The main module of processes that are spawned, and not forked: what the cells have defined, as a file.

A spawned process is a new interpreter, which imports the main module under another name. A script has a file for that;
cells have not, so one is written for each process: the imports, functions and classes of all cells, and the
data that these functions use. What the cells did beside is not done again.
"""

from __future__ import annotations

import ast
import contextlib
import linecache
import os
import pickle
import sys
import tempfile
from types import CodeType, FunctionType, ModuleType
from typing import Any

_MOST_BYTES = 16 * 1024 * 1024
"""Of all data together, as pickles."""
_MOST_DEFAULTS_BYTES = 64 * 1024
"""Of those of one function."""
_DEFINES = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

_MAIN = '''\
"""What the cells of a session have defined, for a process that was spawned by them."""

import pickle as _pickle, sys as _sys, linecache as _linecache

_sys.stdout.reconfigure(line_buffering=True)
_cells = {cells!r}
_data = {data!r}
_failed = {failed!r}
_defaults = {defaults!r}


def _take(names):
    for name in names:
        try:
            globals()[name] = _pickle.loads(_data[name])
        except Exception as error:
            _failed[name] = f"{{type(error).__name__}}: {{error}}"
        else:
            _failed.pop(name, None)


_take(_data)
for _file, _text, _parts in _cells:
    _linecache.cache[_file] = (len(_text), None, _text.splitlines(keepends=True), _file)
    for _name, _part, _line in _parts:
        try:
            exec(compile("\\n" * (_line - 1) + _part, _file, "exec"), globals())
        except Exception as error:
            _failed[_name] = f"{{type(error).__name__}}: {{error}}"
_take([_name for _name in _data if _name in _failed])
for _name, _given in _defaults.items():
    try:
        globals()[_name].__defaults__, globals()[_name].__kwdefaults__ = _pickle.loads(_given)
    except Exception as error:
        _failed[_name] = f"its defaults: {{type(error).__name__}}: {{error}}"


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*_, **__):
        why = _failed.get(name, "it is not defined at the top level of a cell")
        raise NameError(f"a spawned process does not know {{name!r}}: {{why}}. Define it there, or in a module that "
                        "was written to the working directory, or use the start method 'fork'")

    return missing
'''


def written() -> str:
    """Write the file for the process that is about to be spawned, and return its path."""
    from belljar.guest import notebook

    main = sys.modules["__main__"]
    namespace = vars(main)
    cells = []
    for filename, entry in list(linecache.cache.items()):
        if not filename.startswith("<cell ") or len(entry) != 4:
            continue
        text = "".join(entry[2])
        try:
            tree = notebook.parsed(text, filename, namespace)
        except (SyntaxError, ValueError):
            continue  # it never ran
        parts = [
            (_name(node), _source(text, node), _first_line(node))
            for node in tree.body
            if isinstance(node, _DEFINES)
        ]
        if parts:
            cells.append((filename, text, parts))
    data, failed = _data(namespace)
    path = os.path.join(tempfile.gettempdir(), f".cells-{os.getpid()}.py")
    with open(f"{path}.new", "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(_MAIN.format(cells=cells, data=data, failed=failed, defaults=_defaults(namespace)))
    os.replace(f"{path}.new", path)  # another process may be reading the one before
    return path


def _name(node: Any) -> str:
    return str(getattr(node, "name", "")) or ast.unparse(node)


def _first_line(node: Any) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min(int(part.lineno) for part in [node, *decorators])


def _source(text: str, node: Any) -> str:
    lines = text.split("\n")[_first_line(node) - 1 : node.end_lineno]
    if node.col_offset or ";" in lines[-1]:
        return ast.unparse(node)  # it is not alone on its lines
    return "\n".join(lines)


def _data(namespace: dict[str, Any]) -> tuple[dict[str, bytes], dict[str, str]]:
    """The values of the variables that the cells' functions use, pickled, and why others are not among them."""
    used: set[str] = set()
    for value in list(namespace.values()):
        for function in _functions(value):
            _names(function.__code__, used)
    data: dict[str, bytes] = {}
    failed: dict[str, str] = {}
    left = _MOST_BYTES
    for name in sorted(used & namespace.keys()):
        value = namespace[name]
        if isinstance(value, ModuleType | FunctionType | type) or name.startswith("__"):
            continue
        size = getattr(value, "nbytes", 0)
        if isinstance(size, int) and size > left:
            failed[name] = f"its {size:,} bytes are more than go along with a process"
            continue
        try:
            pickled = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
            continue
        if len(pickled) > left:
            failed[name] = f"its {len(pickled):,} bytes are more than go along with a process"
            continue
        left -= len(pickled)
        data[name] = pickled
    return data, failed


def _defaults(namespace: dict[str, Any]) -> dict[str, bytes]:
    """What the parameters of functions stand for where nothing is given, as it was when they were defined."""
    found: dict[str, bytes] = {}
    for name, value in list(namespace.items()):
        if not isinstance(value, FunctionType) or value.__module__ != "__main__":
            continue
        given = value.__defaults__, value.__kwdefaults__
        if any(given):
            with contextlib.suppress(Exception):  # the definition itself has to do, then
                pickled = pickle.dumps(given, pickle.HIGHEST_PROTOCOL)
                if len(pickled) <= _MOST_DEFAULTS_BYTES:
                    found[name] = pickled
    return found


def _functions(value: object) -> list[FunctionType]:
    """Those of the cells: a function, and the methods of a class."""
    if isinstance(value, FunctionType):
        return [value] if value.__module__ == "__main__" else []
    if isinstance(value, type) and value.__module__ == "__main__":
        found = [getattr(part, "__func__", getattr(part, "fget", part)) for part in vars(value).values()]
        return [part for part in found if isinstance(part, FunctionType)]
    return []


def _names(code: CodeType, found: set[str]) -> None:
    found.update(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _names(constant, found)
