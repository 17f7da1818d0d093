"""A key that is not there: of a dictionary, of a column or row of a table."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from belljar.guest import values
from belljar.guest.alike import MAX_NAMES, close, listed, quoted

_OF_LABELS = re.compile(
    r"\] (not in index|not found in axis|are in the \[|do not exist)|^Columns? not found: "
)
_PLAIN = (str, int, float, bytes)
"""Types of keys of which no other method is called than Python's own."""


def hint(error: Any, frame: FrameType | None) -> str | None:
    """For a KeyError. `frame` is the innermost of the user's."""
    if not error.args:
        return None
    key = error.args[0]
    table = _table(error)
    if table is not None:
        what, labels = table
        return _no_label(what, _wanted(key, labels), labels)
    if frame is None or type(key) not in _PLAIN:
        return None
    for value in _dicts(error, frame):
        keys = list(dict.keys(value))
        some = keys[:MAX_NAMES]
        near = close(key, [name for name in some if type(name) is str]) if type(key) is str else []
        other = [
            name
            for name in some
            if type(name) in _PLAIN and type(name) is not type(key) and str(name) == str(key)
        ]
        said = f"There is {listed(near)}. " if near else ""
        if other:
            said = f"There is {listed(other)}, which is of the type {values.name_of(type(other[0]))}. "
        return f"{said}The keys are: {listed(keys) or 'none'}."
    return None


def _wanted(key: Any, labels: list[Any]) -> list[Any]:
    """The labels that are missing: of several, and of some at times, pandas says so in a text."""
    if type(key) is str and _OF_LABELS.search(key):
        found = re.findall(r"'([^']*)'", re.sub(r"dtype='[^']*'", "", key))
        found += re.findall(r"^Column not found: (.+)", key)
        return [name for name in found if name not in labels] or [key]
    return [key]


def _no_label(what: str, missing: list[Any], labels: list[Any]) -> str:
    said = []
    for name in missing[:3]:
        near = close(name, [label for label in labels if type(label) is str]) if type(name) is str else []
        if near:
            said.append(f"There is no {what} {quoted(name)}, but {listed(near)}.")
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
            here = values.variables(at.tb_frame)
            own = here.get("self")
            if issubclass(type(own), pandas.Index):
                index = own
            elif not issubclass(type(own), pandas.DataFrame):
                # Of a group or an indexer, perhaps a half-made one.
                own = (values.own_attributes(own) or {}).get("obj")
            for value in (own, here.get("obj"), here.get("left"), here.get("frame")):
                if issubclass(type(value), pandas.DataFrame):
                    table = value
        at = at.tb_next
    if index is None and table is None:
        return None
    if index is None or (table is not None and index is table.columns):
        return "column", list(table.columns[:MAX_NAMES])  # type: ignore[union-attr]
    return "label", list(index[:MAX_NAMES])


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
        here = values.variables(frame)
        named = (here.get(name, frame.f_globals.get(name)) for name in faults.names_of(innermost))
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
            here = values.variables(frame)
            return here[node.id] if node.id in here else frame.f_globals[node.id]
        case ast.Attribute():
            return (values.own_attributes(_value(node.value, frame)) or {})[node.attr]
        case ast.Subscript():
            owner, key = _value(node.value, frame), _value(node.slice, frame)
            if type(key) in (str, int) and issubclass(type(owner), dict) and dict.__contains__(owner, key):
                return dict.get(owner, key)  # which makes nothing, other than __getitem__ of a defaultdict
            for base in (list, tuple):
                if type(key) is int and issubclass(type(owner), base):
                    return base.__getitem__(owner, key)
    raise LookupError("more than a name")
