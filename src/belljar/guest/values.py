"""A value in a few words, without a call of any method of the code's own: those may raise, hang or never end."""

from __future__ import annotations

import collections
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import (
    BuiltinFunctionType,
    FrameType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

_MAX_TEXT = 300
_MAX_PART = 60
"""Of a value within another."""
_MAX_STRING = 120
_MAX_BYTES = 40
_MAX_ITEMS = 6
_MAX_COLUMNS = 16
_MAX_SHOWN = 8
"""Numbers of an array."""
_MAX_SHOWN_BYTES = 4096
_MAX_BITS = 1024
_DEPTH = 2
_PLAIN_MODULES = frozenset({"datetime", "decimal", "fractions", "pathlib", "uuid", "zoneinfo", "ipaddress"})
"""Whose values have short texts of their own."""
_ARRAY_MODULES = frozenset(
    {"numpy", "pandas", "polars", "pyarrow", "scipy", "torch", "xarray", "jax", "jaxlib", "tensorflow"}
)
_OPTIMIZED = 0x1  # inspect.CO_OPTIMIZED
_PATTERN = type(re.compile(""))
_SECRET = re.compile(
    r"passw(or)?d|passphrase|secret|credential|(api|access|private|auth|signing)[_-]?key|"
    r"(access|auth|api|bearer|refresh)[_-]?token",
    re.IGNORECASE,
)
_MARKS: dict[Any, str] = {
    dict: "{}",
    list: "[]",
    tuple: "()",
    set: "{}",
    frozenset: "{}",
    collections.deque: "[]",
}
_NAME = type.__dict__["__name__"]
_MODULE = type.__dict__["__module__"]
_MRO = type.__dict__["__mro__"]
_DICT = type.__dict__["__dict__"]
_ARGS = BaseException.__dict__["args"]


def name_of(kind: type) -> str:
    """A class's name, whatever its own class makes of that."""
    return str(_NAME.__get__(kind))[:_MAX_PART]


def package_of(kind: type) -> str:
    """The first name of the module that a class is of; nothing where it says to be of one that does not have it."""
    module = _MODULE.__get__(kind)
    if type(module) is not str:
        return ""
    has = own_attributes(sys.modules.get(module)) or {}
    return module.partition(".")[0] if has.get(_NAME.__get__(kind)) is kind else ""


def described(value: Any, name: str = "") -> tuple[str, str] | None:
    """The value's type and a text; None for what explains nothing: modules, classes, functions of libraries.

    `name` is what it is known by: of what that calls a secret, the size is all that is told.
    """
    kind = type(value)
    if issubclass(kind, ModuleType | type | BuiltinFunctionType | MethodType):
        return None
    if issubclass(kind, FunctionType):
        if not value.__code__.co_filename.startswith("<cell "):
            return None
        code = value.__code__
        count = code.co_argcount + code.co_kwonlyargcount
        return "function", _clip(f"{code.co_name}({', '.join(code.co_varnames[:count])})", _MAX_TEXT)
    try:
        text = _secret(value) if is_secret(name, value) else _text(value, _DEPTH)
    except Exception as error:  # of a library that is half way through something
        text = f"(not to be read: {name_of(type(error))})"
    return name_of(kind), _clip(text, _MAX_TEXT)


def is_secret(name: Any, value: Any) -> bool:
    """Whether a text goes by the name of something that nobody is to read who has not asked for it."""
    return type(name) is str and issubclass(type(value), str | bytes) and bool(_SECRET.search(name))


def _secret(value: Any) -> str:
    return f"({(str if issubclass(type(value), str) else bytes).__len__(value):,} long, not shown)"


def _clip(text: str, most: int) -> str:
    text = text.replace("\n", " ")
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(value: Any, depth: int) -> str:
    kind = type(value)
    if value is None or kind in (bool, float, complex, range, type(Ellipsis)):
        return repr(value)
    if kind is slice:
        return f"slice({part(value.start)}, {part(value.stop)}, {part(value.step)})"
    if issubclass(kind, int):
        bits = int.bit_length(value)
        return int.__repr__(value) if bits <= _MAX_BITS else f"a number of {bits} bits"
    if issubclass(kind, str):
        return _string(value)
    if kind is memoryview:
        return _bytes(bytes(value[:_MAX_BYTES]), value.nbytes) if value.ndim == 1 else f"shape {value.shape}"
    for base in (bytes, bytearray):
        if issubclass(kind, base):
            head = base.__getitem__(value, slice(0, _MAX_BYTES))
            return _bytes(bytes(head), base.__len__(value))
    if issubclass(kind, dict | list | tuple | set | frozenset | collections.deque):
        return _collection(value, depth)
    module = package_of(kind)
    if module in _ARRAY_MODULES:
        return _array(value)
    if module in _PLAIN_MODULES:
        return _clip(repr(value), _MAX_STRING)
    if kind is _PATTERN:
        return _string(value.pattern) if isinstance(value.pattern, str) else "a pattern of bytes"
    if module == "_io" and hasattr(value, "closed"):
        return f"{_string(str(getattr(value, 'name', '')))}, {'closed' if value.closed else 'open'}"
    if module == "PIL":
        return f"{value.size[0]}x{value.size[1]} pixels, mode {value.mode}"
    if issubclass(kind, BaseException):
        arguments = _ARGS.__get__(value)
        return f"({', '.join(part(argument, 0) for argument in arguments[:_MAX_ITEMS])})"
    return _object(value, depth)


def _string(value: str) -> str:
    count = str.__len__(value)
    text = repr(str.__getitem__(value, slice(0, _MAX_STRING)))
    return text if count <= _MAX_STRING else f"{text[:-1]}…{text[-1]} ({count:,} characters)"


def _bytes(head: bytes, count: int) -> str:
    text = repr(head)
    return text if count <= len(head) else f"{text[:-1]}…{text[-1]} ({count:,} bytes)"


def part(value: Any, depth: int = 0) -> str:
    """A value within a text about another one."""
    return _clip(_text(value, depth), _MAX_PART)


def _part_of(name: Any, value: Any, depth: int) -> str:
    return _secret(value) if is_secret(name, value) else part(value, depth)


def _collection(value: Any, depth: int) -> str:
    kind = type(value)
    base, marks = next((base, marks) for base, marks in _MARKS.items() if issubclass(kind, base))
    count = base.__len__(value)
    if not count:
        return f"empty {marks}"
    size = f"{count:,} {'item' if count == 1 else 'items'}: "
    if depth == 0:
        return f"{marks[0]}{count:,} items{marks[1]}"
    some: Iterable[str]
    if base is dict:
        pairs = itertools.islice(dict.items(value), _MAX_ITEMS)
        some = [f"{part(key, 0)}: {_part_of(key, item, depth - 1)}" for key, item in pairs]
    else:
        some = [part(item, depth - 1) for item in itertools.islice(base.__iter__(value), _MAX_ITEMS)]
    more = ", …" if count > _MAX_ITEMS else ""
    return f"{size if depth == _DEPTH else ''}{marks[0]}{', '.join(some)}{more}{marks[1]}"


def _array(value: Any) -> str:
    """What has a shape, a type and columns: of a library, so its own word is taken."""
    loaded: Any = sys.modules.get
    pandas, numpy = loaded("pandas"), loaded("numpy")
    kind = type(value)
    if pandas is not None and issubclass(kind, pandas.DataFrame):
        rows, columns = value.shape
        names, dtypes = value.columns[:_MAX_COLUMNS], value.dtypes[:_MAX_COLUMNS]
        types = [f"{part(name, 1)} {dtype}" for name, dtype in zip(names, dtypes, strict=True)]
        more = ", …" if columns > _MAX_COLUMNS else ""
        return f"{rows:,} rows × {columns:,} columns: {', '.join(types)}{more}"
    if pandas is not None and issubclass(kind, pandas.Series):
        return f"length {len(value):,}, dtype {value.dtype}, name {part(value.name, 1)}"
    if pandas is not None and issubclass(kind, pandas.Index):
        some = ", ".join(part(item, 0) for item in value[:_MAX_ITEMS])
        return f"length {len(value):,}, dtype {value.dtype}: {some}{', …' if len(value) > _MAX_ITEMS else ''}"
    if numpy is not None and issubclass(kind, numpy.generic):
        return f"{_clip(str(value), _MAX_STRING)} ({value.dtype})"
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None:
        shown = ""
        if (
            numpy is not None
            and kind is numpy.ndarray
            and value.dtype.kind in "biufcSU"
            and 0 < value.size <= _MAX_SHOWN
            and value.nbytes <= _MAX_SHOWN_BYTES
        ):
            shown = f": {value.tolist()}"
        return f"shape {tuple(shape)}{f', dtype {dtype}' if dtype is not None else ''}{shown}"
    return _clip(repr(value), _MAX_STRING)


def _object(value: Any, depth: int) -> str:
    """An object of the code's own: what it has, without a property."""
    kind, own = type(value), own_attributes(value)
    if own is None or depth == 0:
        return f"a {name_of(kind)}"
    is_own = _MODULE.__get__(kind) == "__main__"
    names = [name for name in own if type(name) is str and (is_own or not name.startswith("_"))]
    if not names:
        return "with no attributes of its own" if is_own else f"a {name_of(kind)}"
    some = [f"{name}={_part_of(name, own[name], 0)}" for name in names[:_MAX_ITEMS]]
    return f"with {', '.join(some)}{', …' if len(names) > _MAX_ITEMS else ''}"


def variables(frame: FrameType) -> Mapping[str, Any]:
    """What a frame calls its own: nothing where that is in a mapping of the code's own, as a class's body may have."""
    held = frame.f_locals
    is_function = frame.f_code.co_flags & _OPTIMIZED  # whose variables are the interpreter's
    return held if is_function or type(held) is dict else {}


def class_attributes(kind: type) -> Iterator[str]:
    """Names that a class and those above it have, without asking its own class."""
    for base in _MRO.__get__(kind):
        yield from (name for name in _DICT.__get__(base) if type(name) is str)


def own_attributes(owner: Any) -> dict[str, Any] | None:
    """What an object has itself, without asking it; None where it has no place for any."""
    for base in _MRO.__get__(type(owner)):
        place = _DICT.__get__(base).get("__dict__")
        if place is None:
            continue
        # One that is written in Python is a property that only goes by this name.
        own = place.__get__(owner) if type(place) in (GetSetDescriptorType, MemberDescriptorType) else None
        return own if type(own) is dict else None
    return None


# -- sizes -------------------------------------------------------------------------------------------------

_FEW = 1000


def bytes_of(value: Any) -> int:
    """About how much memory a value takes; 0 where that cannot be told without its own methods."""
    kind = type(value)
    module = package_of(kind)
    if module in _ARRAY_MODULES:
        if module == "pandas" and hasattr(value, "memory_usage"):
            used = value.memory_usage()
            return int(used.sum()) if hasattr(used, "sum") else int(used)
        return int(getattr(value, "nbytes", 0) or 0)
    for base in (str, bytes, bytearray, list, tuple, dict, set, frozenset, collections.deque, memoryview):
        if not issubclass(kind, base):
            continue
        size = int(base.__sizeof__(value))
        if base in (str, bytes, bytearray, memoryview):
            return size
        items = (
            itertools.chain(dict.keys(value), dict.values(value)) if base is dict else base.__iter__(value)
        )
        some = [_own_size(item) for item in itertools.islice(items, _FEW)]
        count = base.__len__(value) * (2 if base is dict else 1)
        return size + (sum(some) * count // len(some) if some else 0)
    return 0


def _own_size(value: Any) -> int:
    kind = type(value)
    module = package_of(kind)
    if module == "numpy":
        return int(getattr(value, "nbytes", 0))
    return sys.getsizeof(value) if module == "builtins" else object.__sizeof__(value)
