"""The variables of the cells, and what is known of them."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any

from belljar.guest.magics import Cell, Line

if TYPE_CHECKING:
    from belljar.guest.shell import Shell


def _who(shell: Shell, line: str) -> None:
    names = shell.names(line)
    print("\t".join(names) if names else "Interactive namespace is empty.")


def _who_ls(shell: Shell, line: str) -> list[str]:
    return shell.names(line)


def _whos(shell: Shell, line: str) -> None:
    names = shell.names(line)
    if not names:
        print("Interactive namespace is empty.")
        return
    rows: list[tuple[str, str, str]] = [("Variable", "Type", "Data/Info")]
    for name in names:
        value = shell.user_ns[name]
        shape = getattr(value, "shape", None)
        about = f"shape {shape}" if isinstance(shape, tuple) else repr(value).replace("\n", " ")[:60]
        if isinstance(value, list | dict | tuple | set):
            about = f"n={len(value)}"
        rows.append((name, type(value).__name__, about))
    first, second = (max(len(row[column]) for row in rows) + 2 for column in (0, 1))
    for row in rows:
        print(f"{row[0]:<{first}}{row[1]:<{second}}{row[2]}")


def _reset(shell: Shell, line: str) -> None:
    for name in shell.names():
        del shell.user_ns[name]


def _xdel(shell: Shell, line: str) -> None:
    shell.user_ns.pop(line.strip(), None)


def _history(shell: Shell, line: str) -> None:
    for number in range(1, shell.execution_count):
        print("".join(linecache.getlines(f"<cell {number}>")), end="")


def _pinfo(shell: Shell, line: str) -> None:
    _described(shell, line, with_source=False)


def _pinfo2(shell: Shell, line: str) -> None:
    _described(shell, line, with_source=True)


def _pdoc(shell: Shell, line: str) -> None:
    _described(shell, line, with_source=False)


def _described(shell: Shell, name: str, *, with_source: bool) -> None:
    """What `name?` tells."""
    import inspect

    if name.startswith("%"):
        magic: Any = shell.magics.get(name.lstrip("%")) or shell.cell_magics.get(name.lstrip("%"))
        print(inspect.getdoc(magic) or f"{name} is {'a magic' if magic else 'not known'}")
        return
    if "*" in name:
        scope, _, pattern = name.rpartition(".")
        names = dir(shell.found(scope)) if scope else list(shell.user_ns)
        from fnmatch import fnmatchcase

        print("\n".join(f"{scope}.{one}" if scope else one for one in names if fnmatchcase(one, pattern)))
        return
    value = shell.execute(name) if "[" in name else shell.found(name)
    facts: dict[str, str] = {}
    if callable(value):
        try:
            facts["Signature"] = f"{name}{inspect.signature(value)}"
        except (TypeError, ValueError):
            facts["Type"] = type(value).__name__  # a builtin that does not tell
    else:
        facts["Type"] = type(value).__name__
        facts["String form"] = str(value)[:1000]
        try:
            facts["Length"] = str(len(value))
        except Exception:
            facts.pop("Length", None)  # most have none
    source = None
    if with_source:
        try:
            source = inspect.getsource(value)
        except (OSError, TypeError):
            source = None  # of C code, say
    if source:
        facts["Source"] = f"\n{source.rstrip()}"
    else:
        facts["Docstring"] = inspect.getdoc(value) or "<no docstring>"
    try:
        facts["File"] = inspect.getfile(value)
    except (OSError, TypeError):
        facts["Type"] = type(value).__name__  # of a builtin, say
    for label, text in facts.items():
        print(f"{label}: {text}")


def _lsmagic(shell: Shell, line: str) -> None:
    print("Line magics:", *sorted(f"%{name}" for name in shell.magics))
    print("Cell magics:", *sorted(f"%%{name}" for name in shell.cell_magics))


LINES: dict[str, Line] = {
    "who": _who,
    "who_ls": _who_ls,
    "whos": _whos,
    "reset": _reset,
    "xdel": _xdel,
    "history": _history,
    "hist": _history,
    "pinfo": _pinfo,
    "pinfo2": _pinfo2,
    "psource": _pinfo2,
    "pdoc": _pdoc,
    "lsmagic": _lsmagic,
}
CELLS: dict[str, Cell] = {}
