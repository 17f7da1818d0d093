"""What to do about an exception, in a sentence or two: where what was asked for has another name, say, by which one.

Imported when something was raised. All of it is bounded: directories are looked through as far as a look is quick.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import errno
import keyword
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from types import FrameType, ModuleType
from typing import Any

from belljar.guest import values

_MAX_HINT = 1000
_MAX_LISTED = 20
_MAX_LISTED_TEXT = 600
_MAX_NAME = 80
_MAX_ENTRIES = 2000
"""Of directories, in one look."""
_MAX_COMPARED = 100
"""Characters of a name."""
_MAX_CHAIN = 8
_CLOSE = 0.7
_NOTABLE_BYTES = 1024 * 1024
NO_NETWORK = "There is no network here, and nothing can be installed."


def hint(error: BaseException, frame: FrameType | None) -> str | None:
    """For the exception itself, else for what it says to have come from. `frame` is the innermost of the user's."""
    at: BaseException | None = error
    for _ in range(_MAX_CHAIN):
        if at is None:
            return None
        if found := _hint(at, frame):
            return found if len(found) <= _MAX_HINT else f"{found[: _MAX_HINT - 1]}…"
        at = at.__cause__
    return None


def _hint(error: Any, frame: FrameType | None) -> str | None:
    kind = type(error)
    if _is_of_network(error):
        return f"{NO_NETWORK} Use what lies in the working directory."
    if issubclass(kind, ImportError):
        from belljar.guest import missing  # with tables that other errors do without

        return missing.module(error)
    if issubclass(kind, OSError):
        return _of_file(error)
    if issubclass(kind, KeyError):
        return _of_key(error, frame)
    if issubclass(kind, NameError):
        return _of_name(error, frame)
    if issubclass(kind, AttributeError):
        return _of_attribute(error)
    if issubclass(kind, UnicodeDecodeError):
        from belljar.guest import charsets

        return charsets.hint(error)
    if issubclass(kind, ValueError) and (_is_of_pandas(kind) or _says(error, "Excel file format")):
        from belljar.guest import charsets

        return charsets.of_table(error)
    if issubclass(kind, MemoryError):
        return _of_memory(error, frame)
    return None


def _is_of_pandas(kind: type) -> bool:
    return values.package_of(kind) == "pandas"


def _says(error: BaseException, text: str) -> bool:
    return bool(error.args) and type(error.args[0]) is str and text in error.args[0]


def close(wanted: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Names that are nearly `wanted`, the nearest first, and before them those that differ in case or spaces only."""
    # Long names that are alike take long to compare.
    known = [name for name in dict.fromkeys(names) if len(name) <= _MAX_COMPARED][:_MAX_ENTRIES]
    same = [name for name in known if _plain(name) == _plain(wanted) and name != wanted]
    by_plain: dict[str, str] = {}
    for name in known:
        by_plain.setdefault(_plain(name), name)
    near = difflib.get_close_matches(_plain(wanted), by_plain, n=most, cutoff=_CLOSE)
    found = dict.fromkeys([*same, *(by_plain[plain] for plain in near)])
    found.pop(wanted, None)
    return list(found)[:most]


def listed(names: Iterable[Any], most: int = _MAX_LISTED) -> str:
    """Some names, quoted, so that spaces and odd characters are seen."""
    known = list(names)
    shown: list[str] = []
    left = _MAX_LISTED_TEXT
    for name in known[:most]:
        quoted = _quoted(name)
        left -= len(quoted) + 2
        if left < 0 and shown:
            break
        shown.append(quoted)
    more = len(known) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def _quoted(name: Any) -> str:
    text = repr(name) if type(name) is str else values.part(name)
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}…"


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


# -- the network -------------------------------------------------------------------------------------------


def _is_of_network(error: BaseException) -> bool:
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen and len(seen) < _MAX_CHAIN:
        seen.add(id(at))
        if values.name_of(type(at)) == "gaierror":
            return True
        if issubclass(type(at), OSError) and at.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):  # type: ignore[attr-defined]
            return True
        reason = getattr(at, "reason", None) if issubclass(type(at), OSError) else None
        at = reason if issubclass(type(reason), BaseException) else at.__cause__ or at.__context__
    return False


# -- files -------------------------------------------------------------------------------------------------


def _of_file(error: Any) -> str | None:
    path = _path_of(error)
    if issubclass(type(error), FileNotFoundError):
        if path is None:
            return None
        if _is_of_subprocess(error):
            return _no_program(path)
        return _no_file(path)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) and path and not os.path.exists(path):
        return "Only the working directory, $OUTPUT_DIR and /tmp can be written to."
    if issubclass(type(error), IsADirectoryError) and path is not None:
        return f"It is a directory; in it there is: {listed(_names_in(path)) or 'nothing'}."
    return None


def _path_of(error: Any) -> str | None:
    """The path that an OSError is about; libraries of their own make only say it in their text."""
    path = error.filename
    if isinstance(path, os.PathLike) and values.package_of(type(path)) == "pathlib":
        path = os.fspath(path)
    if type(path) in (str, bytes):
        return os.fsdecode(path)
    if path is None and error.args and type(error.args[0]) is str:
        text = error.args[0][:4096]
        found = re.search(r"['\"]([^'\"\n]+)['\"]", text) or re.match(r"(\S+) (?:was )?not found", text)
        return str(found[1]) if found else None
    return None


def _is_of_subprocess(error: BaseException) -> bool:
    last, at = None, error.__traceback__
    while at is not None:
        last, at = at, at.tb_next
    return last is not None and last.tb_frame.f_code.co_filename.endswith("subprocess.py")


def _no_program(path: str) -> str:
    name = os.path.basename(path)
    programs: list[str] = []
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        programs += _names_in(folder)
    near = close(name, programs)
    there = f" Close names: {listed(near)}." if near else ""
    return f"There is no program {_quoted(name)} here.{there} {NO_NETWORK}"


def _no_file(path: str) -> str:
    wanted = os.path.basename(path.replace("\\", "/").rstrip("/")) or path
    parent = os.path.dirname(path)
    siblings = _names_in(parent or ".")
    if wanted in siblings and os.path.islink(path):
        return f"{_quoted(path)} is a link to {_quoted(os.readlink(path))}, which is not there."
    if same := [name for name in siblings if _plain(name) == _plain(wanted)]:
        return f"There is {_quoted(os.path.join(parent, same[0]))}: {_difference(wanted, same[0])}"
    found = list(_elsewhere(wanted))
    if found:
        return f"There is {listed(found, 5)}: open it by that path."
    said = ""
    if parent and not os.path.isdir(parent):
        said = f"There is no directory {_quoted(parent)} (for a file that is to be made: os.makedirs first). "
        siblings = _names_in(".")
    if near := close(wanted, siblings):
        said += f"Close names: {listed(near)}. "
    where = parent if parent and os.path.isdir(parent) else "the working directory"
    return f"{said}In {where} there is: {listed(siblings) or 'nothing'}."


def _difference(wanted: str, name: str) -> str:
    if unicodedata.normalize("NFC", wanted) == unicodedata.normalize("NFC", name):
        form = "NFC" if unicodedata.is_normalized("NFC", name) else "NFD"
        return (
            f"it looks the same but has other code points (Unicode {form}): take the name from os.listdir()."
        )
    if wanted.casefold() == name.casefold():
        return "upper and lower case differ."
    return "spaces or forms of letters differ."


def _elsewhere(wanted: str) -> Iterator[str]:
    """Paths of files of that name in the places where files lie: the attachments, their folders, earlier results."""
    left = _MAX_ENTRIES
    output = os.environ.get("OUTPUT_DIR", "")
    tops = [
        (".", ""),
        (os.environ.get("INPUT_DIR", ""), None),
        (os.path.dirname(output), None),
        ("/tmp", None),
    ]
    seen: set[tuple[int, int]] = set()
    for top, prefix in tops:
        if not top:
            continue
        for folder, folders, names in os.walk(top):
            left -= len(folders) + len(names)
            for name in names:
                if _plain(name) != _plain(wanted):
                    continue
                path = os.path.join(folder, name)
                try:
                    status = os.stat(path)
                except OSError:
                    continue
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    yield os.path.relpath(path) if prefix == "" else path
            if left < 0:
                return


def _names_in(folder: str) -> list[str]:
    """The names in a directory, as far as a look is quick."""
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.append(f"{entry.name}/" if entry.is_dir() else entry.name)
                if len(names) == _MAX_ENTRIES:
                    break
    except OSError:
        return []
    return sorted(name for name in names if not name.startswith(".belljar-"))


# -- keys --------------------------------------------------------------------------------------------------


def _of_key(error: Any, frame: FrameType | None) -> str | None:
    if not error.args:
        return None
    key = error.args[0]
    table = _table(error)
    if table is not None:
        what, labels = table
        return _no_label(what, _wanted(key, labels), labels)
    if frame is None or type(key) not in (str, int, float, bytes):
        return None
    for value in _dicts(error, frame):
        keys = list(dict.keys(value))
        near = close(key, [name for name in keys if type(name) is str]) if type(key) is str else []
        other = [name for name in keys if type(name) is not type(key) and str(name) == str(key)]
        said = f"There is {listed([*other, *near])}. " if other or near else ""
        if other:
            said = f"There is {listed(other)}, which is of the type {values.name_of(type(other[0]))}. "
        return f"{said}The keys are: {listed(keys) or 'none'}."
    return None


def _wanted(key: Any, labels: list[Any]) -> list[Any]:
    """The labels that are missing: of a list of them pandas says so in a text."""
    if type(key) is str and re.search(r"\] (not in index|not found in axis|are in the \[)", key):
        found = re.findall(r"'([^']*)'", re.sub(r"dtype='[^']*'", "", key))
        return [name for name in found if name not in labels] or [key]
    return [key]


def _no_label(what: str, missing: list[Any], labels: list[Any]) -> str:
    said = []
    for name in missing[:3]:
        near = close(name, [label for label in labels if type(label) is str]) if type(name) is str else []
        if near:
            said.append(f"There is no {what} {_quoted(name)}, but {listed(near)}.")
    kind = "columns" if what == "column" else "labels"
    return " ".join([*said, f"The {kind} are: {listed(labels) or 'none'}."])


def _table(error: BaseException) -> tuple[str, list[Any]] | None:
    """The columns of the data frame, or the labels of the index, in which pandas has looked for the key."""
    pandas: Any = sys.modules.get("pandas")
    if pandas is None:
        return None
    table, index = None, None
    at = error.__traceback__
    while at is not None:
        if f"{os.sep}pandas{os.sep}" in at.tb_frame.f_code.co_filename:
            here = at.tb_frame.f_locals
            own = here.get("self")
            if issubclass(type(own), pandas.Index):
                index = own
            elif not issubclass(type(own), pandas.DataFrame):
                own = _own_attributes(own).get("obj")  # of a group or an indexer, perhaps a half-made one
            for value in (own, here.get("obj"), here.get("left"), here.get("frame")):
                if issubclass(type(value), pandas.DataFrame):
                    table = value
        at = at.tb_next
    if index is None and table is None:
        return None
    if index is None or (table is not None and index is table.columns):
        return "column", list(table.columns[:_MAX_ENTRIES])  # type: ignore[union-attr]
    return "label", list(index[:_MAX_ENTRIES])


def _dicts(error: BaseException, frame: FrameType) -> Iterator[dict[Any, Any]]:
    """The dictionary that lacks the key, where the line that failed says so plainly."""
    from belljar.guest import faults

    at, innermost = error.__traceback__, None
    while at is not None:
        innermost, at = at, at.tb_next
    if innermost is None or innermost.tb_frame is not frame:
        return  # it was raised by what the user's line has called
    try:
        found = [_subscripted(ast.parse(faults.failed_text(innermost).strip(), mode="eval").body, frame)]
    except (SyntaxError, ValueError, LookupError, AttributeError):
        named = (frame.f_locals.get(name, frame.f_globals.get(name)) for name in faults.names_of(innermost))
        found = [value for value in named if _is_lacking(value, error.args[0])]
    if len(found) == 1 and _is_lacking(found[0], error.args[0]):
        yield found[0]


def _is_lacking(value: Any, key: Any) -> bool:
    return issubclass(type(value), dict) and not dict.__contains__(value, key)


def _subscripted(node: ast.expr, frame: FrameType) -> Any:
    """What is subscripted in `node`, as far as that can be told without calling anything. Raises LookupError."""
    if isinstance(node, ast.Subscript):
        return _value(node.value, frame)
    raise LookupError("no subscript")


def _value(node: ast.expr, frame: FrameType) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return frame.f_locals[node.id] if node.id in frame.f_locals else frame.f_globals[node.id]
        case ast.Attribute():
            return object.__getattribute__(_value(node.value, frame), "__dict__")[node.attr]
        case ast.Subscript():
            owner, key = _value(node.value, frame), _value(node.slice, frame)
            for base in (dict, list, tuple):
                if issubclass(type(owner), base) and type(key) in (str, int):
                    return base.__getitem__(owner, key)
    raise LookupError("more than a name")


# -- names -------------------------------------------------------------------------------------------------

_ALIASES = {
    "np": "import numpy as np",
    "pd": "import pandas as pd",
    "plt": "import matplotlib.pyplot as plt",
    "sns": "import seaborn as sns",
    "sp": "import sympy as sp",
    "sm": "import statsmodels.api as sm",
    "px": "import plotly.express as px",
    "nx": "import networkx as nx",
    "Path": "from pathlib import Path",
    "datetime": "from datetime import datetime",
    "defaultdict": "from collections import defaultdict",
    "Counter": "from collections import Counter",
    "BytesIO": "from io import BytesIO",
    "StringIO": "from io import StringIO",
}


def _of_name(error: Any, frame: FrameType | None) -> str | None:
    name = error.name
    if type(name) is not str:
        return None
    if name in _ALIASES:
        return f"It was not imported in this session: {_ALIASES[name]}"
    if name in sys.stdlib_module_names:
        return f"It was not imported in this session: import {name}"
    if name in ("null", "true", "false"):
        return f"In Python it is {({'null': 'None'}).get(name, name.capitalize())}."
    known = [*vars(builtins), *keyword.kwlist]
    if frame is not None:
        known = [*frame.f_locals, *frame.f_globals, *known]
    near = close(name, [other for other in known if type(other) is str and not other.startswith("__")])
    return f"Did you mean {listed(near)}?" if near else None


_GONE = {
    ("DataFrame", "append"): "pd.concat([df, other])",
    ("Series", "append"): "pd.concat([series, other])",
    ("DataFrame", "iteritems"): "df.items()",
    ("Series", "iteritems"): "series.items()",
    ("DataFrame", "ix"): "df.loc or df.iloc",
    ("DataFrame", "applymap"): "df.map",
    ("DataFrame", "as_matrix"): "df.to_numpy()",
    ("DataFrame", "swapaxes"): "df.transpose()",
}
"""What pandas no longer has, by class and name; and what it has instead."""


def _of_attribute(error: Any) -> str | None:
    name, owner = error.name, error.obj
    if type(name) is not str or owner is None:
        return None
    kind = type(owner)
    if instead := _GONE.get((values.name_of(kind), name)):
        return f"This version of pandas does not have it. Use {instead}."
    names = _attributes(owner)
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None and issubclass(kind, pandas.DataFrame):
        columns = [label for label in owner.columns[:_MAX_ENTRIES] if type(label) is str]
        near = close(name, [*columns, *names])
        said = f"Close: {listed(near)}. " if near else ""
        return f"{said}The columns are: {listed(columns) or 'none'}."
    near = close(name, names)
    return f"Did you mean {listed(near)}?" if near else None


def _attributes(owner: Any) -> list[str]:
    """Names, without asking the object itself."""
    kind = type(owner)
    names: dict[str, None] = {}
    if issubclass(kind, ModuleType | type):
        names |= dict.fromkeys(vars(owner))
    else:
        names |= dict.fromkeys(name for name in _own_attributes(owner) if type(name) is str)
    for base in type.__dict__["__mro__"].__get__(kind):
        names |= dict.fromkeys(vars(base))
    return [name for name in names if not name.startswith("_")]


def _own_attributes(owner: Any) -> dict[str, Any]:
    """What an object has itself, without a property of its class."""
    try:
        own = object.__getattribute__(owner, "__dict__")
    except AttributeError:
        return {}
    return own if type(own) is dict else {}


# -- memory ------------------------------------------------------------------------------------------------


def _of_memory(error: BaseException, frame: FrameType | None) -> str | None:
    """The largest values that are held, in the functions that were under way and among the variables."""
    found: dict[int, tuple[int, str, Any]] = {}
    at = error.__traceback__
    while at is not None:
        if "inside.zip" not in at.tb_frame.f_code.co_filename:
            for name, value in at.tb_frame.f_locals.items():
                _weigh(found, name, value)
        at = at.tb_next
    for name, value in (frame.f_globals if frame is not None else {}).items():
        _weigh(found, name, value)
    largest = sorted(found.values(), key=lambda item: -item[0])[:5]
    if not largest:
        return "No single variable is large. Work in pieces, or with smaller types."
    said = [
        f"{name} ({values.name_of(type(value))}, {size / 2**20:,.0f} MiB)" for size, name, value in largest
    ]
    return f"The largest variables: {', '.join(said)}. `del` what is not needed, work in pieces, or with smaller types."


def _weigh(found: dict[int, tuple[int, str, Any]], name: str, value: Any) -> None:
    if name.startswith("__"):
        return
    size = values.bytes_of(value)
    if size >= _NOTABLE_BYTES:
        found.setdefault(id(value), (size, name, value))
