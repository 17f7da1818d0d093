"""What to do about an exception, in a sentence or two: where what was asked for has another name, say, by which one.

Imported when something was raised, and what each kind needs when there is one of it. All of it is bounded: directories
are looked through as far as a look is quick.
"""

from __future__ import annotations

import errno
from types import FrameType
from typing import Any

from belljar.guest import values

_MAX_HINT = 1000
_MAX_CHAIN = 8


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
        from belljar.guest.alike import NO_NETWORK

        return f"{NO_NETWORK} Use what lies in the working directory."
    if issubclass(kind, ImportError):
        from belljar.guest import missing  # with tables that other errors do without

        return missing.module(error)
    if values.name_of(kind) == "CalledProcessError":
        from belljar.guest import missing

        return missing.to_install(getattr(error, "cmd", None))
    if issubclass(kind, OSError):
        from belljar.guest import paths

        return paths.hint(error)
    if issubclass(kind, KeyError):
        from belljar.guest import labels

        return labels.hint(error, frame)
    if issubclass(kind, NameError):
        from belljar.guest import names

        return names.of_name(error, frame)
    if issubclass(kind, AttributeError):
        from belljar.guest import names

        return names.of_attribute(error)
    if issubclass(kind, UnicodeDecodeError):
        from belljar.guest import charsets

        return charsets.hint(error)
    if issubclass(kind, ValueError) and (_is_of_pandas(kind) or _says(error, "Excel file format")):
        from belljar.guest import charsets

        return charsets.of_table(error)
    if issubclass(kind, Exception) and (_says(error, "no such table: ") or _says(error, "no such column: ")):
        from belljar.guest import databases

        return databases.hint(error, frame)
    if issubclass(kind, MemoryError):
        return _of_memory(error, frame)
    return None


def _is_of_pandas(kind: type) -> bool:
    return values.package_of(kind) == "pandas"


def _says(error: BaseException, text: str) -> bool:
    return bool(error.args) and type(error.args[0]) is str and text in error.args[0]


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


# -- memory --------------------------------------------------------------------------------------------------


def _of_memory(error: BaseException, frame: FrameType | None) -> str:
    from belljar.guest import largest

    frames = [frame] if frame is not None else []
    at = error.__traceback__
    while at is not None:
        frames.append(at.tb_frame)
        at = at.tb_next
    return largest.told(frames) or "No single variable is large. Work in pieces, or with smaller types."
