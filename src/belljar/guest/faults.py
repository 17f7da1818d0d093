"""What helps to mend code that raised: its own lines, the values that they had at hand, and a hint.

Beside the plain traceback, which `cell` makes. Imported when something was raised. None of the code's own methods is
called, so that a `__repr__` that raises, hangs or is endless does no harm here, and all of it is bounded.
"""

from __future__ import annotations

import contextlib
import itertools
import linecache
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from types import CodeType, TracebackType
from typing import Any

from belljar.guest import values

_MAX_FRAMES = 24
_MAX_BRIEF = 16 * 1024
"""Characters of the traceback in brief."""
_MAX_CODE = 200
_MAX_VALUES = 12
_MAX_VALUES_TEXT = 2400
_LONGEST_CYCLE = 8
"""Calls of functions that call each other, that are told once."""
_FEWEST_ROUNDS = 4
_MAX_CHAIN = 8
"""Exceptions that came from one another, or are gathered in one, that are looked through for the place."""
_MAX_LINES = 10
"""Of one expression, that are looked through for names."""
_NAME = re.compile(r"(?<![\w.])[^\W\d]\w*")
_STRING = re.compile(r"(?<![fFrRbB\w])('[^'\n]*'|\"[^\"\n]*\")")


def described(error: BaseException, whole: traceback.TracebackException) -> dict[str, Any]:
    """{brief, frames, values, hint} of an exception; `whole` is its traceback without our frames, and is folded."""
    for part in _parts(whole):
        part.stack = _Stack(_folded(part.stack))
    innermost, parts = None, [whole]
    with contextlib.suppress(RecursionError):  # of groups in groups
        innermost, parts = _innermost(error, whole)
    _leave_out_echoes(whole)
    frames = [frame for part in parts for frame in _frames(part)]
    told: dict[str, Any] = {"brief": _brief(whole), "frames": frames, "values": [], "hint": None}
    # Each for itself: what one stumbles over the other may know.
    if innermost is not None:
        with contextlib.suppress(Exception):
            told["values"] = _values(innermost)
    with contextlib.suppress(Exception):
        from belljar.guest import hints

        told["hint"] = hints.hint(error, innermost.tb_frame if innermost is not None else None)
    return told


# -- the traceback in brief --------------------------------------------------------------------------------


class _Note(traceback.FrameSummary):
    """A line in place of some frames."""

    __slots__ = ("count",)

    def __init__(self, text: str, count: int) -> None:
        super().__init__("", 0, text, lookup_line=False, line="")
        self.count = count


class _Stack(traceback.StackSummary):
    def format_frame_summary(self, frame_summary: traceback.FrameSummary, **options: Any) -> str:
        if isinstance(frame_summary, _Note):
            return f"  [{frame_summary.name}]\n"
        return super().format_frame_summary(frame_summary, **options)


def _parts(whole: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """The exception, those that it came from, and those that are gathered in one."""
    pending, seen = [whole], set()
    while pending:
        part = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        others = [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]
        pending += [other for other in others if other is not None]


def is_own(filename: str) -> bool:
    """Whether code is the user's: a cell, or a module that lies among the files."""
    if filename.startswith("<"):
        return filename.startswith("<cell ")
    if any(part in filename for part in ("site-packages", "inside.zip")):
        return False
    # What is compiled by Cython has the path of its source, which is not there.
    if not filename.startswith("/"):
        return filename.endswith(".py") and os.path.isfile(filename)
    return not filename.startswith((sys.prefix, sys.base_prefix, "/usr/lib/"))


def _short(filename: str) -> str:
    """A library's file by the name that it is imported by."""
    for entry in sorted((path for path in sys.path if path), key=len, reverse=True):
        if filename.startswith(f"{entry}/"):
            return filename[len(entry) + 1 :]
    return filename


def _folded(stack: Iterable[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """The user's own calls; of the libraries' a line with their number, and the last one of all."""
    folded: list[traceback.FrameSummary] = []
    inside: list[traceback.FrameSummary] = []
    for frame in stack:
        if is_own(frame.filename):
            folded += _fold(inside)
            inside = []
            folded.append(frame)
        else:
            inside.append(frame)
    folded += _fold(inside[:-1])
    for frame in inside[-1:]:
        frame.line  # noqa: B018 - read while it is known where
        frame.filename = _short(frame.filename)
        folded.append(frame)
    folded = _without_rounds(folded)
    if len(folded) > _MAX_FRAMES:
        half = _MAX_FRAMES // 2
        left_out = folded[half:-half]
        folded = [*folded[:half], _Note(f"{len(left_out)} calls", len(left_out)), *folded[-half:]]
    return folded


def _fold(inside: list[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    if not inside:
        return []
    names = dict.fromkeys(_short(frame.filename).partition("/")[0].removesuffix(".py") for frame in inside)
    where = ", ".join(list(names)[:4])
    return [_Note(f"{len(inside)} {'call' if len(inside) == 1 else 'calls'} inside {where}", len(inside))]


def _without_rounds(frames: list[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """Calls that go round and round: the first round, a line, and the last one."""
    keys = [(frame.filename, frame.lineno, frame.name) for frame in frames]
    kept: list[traceback.FrameSummary] = []
    at = 0
    while at < len(frames):
        for length in range(1, _LONGEST_CYCLE + 1):
            end = at + length
            while keys[end : end + length] == keys[at : at + length]:
                end += length
            rounds = (end - at) // length
            if rounds >= _FEWEST_ROUNDS:
                what = "this call" if length == 1 else f"these {length} calls"
                kept += frames[at : at + length]
                kept.append(_Note(f"{what} {rounds - 2} more times", length * (rounds - 2)))
                kept += frames[end - length : end]
                at = end
                break
        else:
            kept.append(frames[at])
            at += 1
    return kept


def _leave_out_echoes(whole: traceback.TracebackException) -> None:
    """A library's exception that the next one tells again, word for word, is not told twice."""
    cause = whole.__cause__ or whole.__context__
    if cause is None or any(is_own(frame.filename) for frame in cause.stack):
        return
    word, again = (part.format_exception_only() for part in (cause, whole))
    text = "".join(word).partition(": ")[2].strip()
    if text and text in "".join(again):
        whole.__cause__ = whole.__context__ = None


def _brief(whole: traceback.TracebackException) -> list[str]:
    text = "".join(whole.format()).rstrip("\n")
    if len(text) > _MAX_BRIEF:
        half = _MAX_BRIEF // 2
        text = f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
    return text.splitlines()


def _frames(whole: traceback.TracebackException) -> list[dict[str, Any]]:
    """The frames of the exception itself, each with how many were left out before it."""
    found: list[dict[str, Any]] = []
    left_out = 0
    for frame in whole.stack:
        if isinstance(frame, _Note):
            left_out += frame.count
            continue
        found.append(_frame(frame.filename, frame.lineno, frame.name, frame.line, left_out))
        left_out = 0
    if whole.exc_type is not None and issubclass(whole.exc_type, SyntaxError) and whole.filename:
        line = int(whole.lineno) if whole.lineno is not None else None
        found.append(_frame(whole.filename, line, "", whole.text, left_out))
    return found


def _frame(filename: str, line: int | None, function: str, code: str | None, left_out: int) -> dict[str, Any]:
    is_users = is_own(filename)
    name = filename.rpartition("/files/work/")[2] if is_users else filename
    return {
        "file": name[:_MAX_CODE],
        "line": line,
        "function": function[:_MAX_CODE],
        "code": (code or "").strip()[:_MAX_CODE],
        "is_own": is_users,
        "left_out": left_out,
    }


# -- values ------------------------------------------------------------------------------------------------


def _innermost(
    error: BaseException, whole: traceback.TracebackException
) -> tuple[TracebackType | None, list[traceback.TracebackException]]:
    """The last of the user's own frames, and the parts of `whole` by which one comes to it.

    Of a group it is that of its first exception that has one. Where a library has raised in place of another exception,
    as event loops do, it is that one's.
    """
    if issubclass(type(error), BaseExceptionGroup):
        within = zip(BaseExceptionGroup.exceptions.__get__(error), whole.exceptions or (), strict=False)
        for inner, part in itertools.islice(within, _MAX_CHAIN):
            found, parts = _innermost(inner, part)
            if found is not None:
                return found, [whole, *parts]
    at, here = error, whole
    for _ in range(_MAX_CHAIN):
        found = _last_own(at)
        if found is not None:
            return found, [here]
        before, there = at.__cause__ or at.__context__, here.__cause__ or here.__context__
        if before is None or there is None:
            break
        at, here = before, there
    return None, [whole]


def _last_own(error: BaseException) -> TracebackType | None:
    found, at = None, error.__traceback__
    while at is not None:
        if is_own(at.tb_frame.f_code.co_filename):
            found = at
        at = at.tb_next
    return found


def _values(at: TracebackType) -> list[dict[str, str]]:
    """What the names of the line that failed stand for, then what else the function has."""
    frame = at.tb_frame
    here, everywhere = values.variables(frame), frame.f_globals
    names = names_of(at)
    if here is not everywhere:
        names += [name for name in here if name not in names]
    found: list[dict[str, str]] = []
    left = _MAX_VALUES_TEXT
    for name in names:
        if name.startswith(("__", ".")):
            continue
        if name in here:
            value = here[name]
        elif name in everywhere:
            value = everywhere[name]
        else:
            continue
        told = values.described(value, name)
        if told is None:
            continue
        kind, text = told
        left -= len(name) + len(kind) + len(text)
        if left < 0 or len(found) == _MAX_VALUES:
            break
        found.append({"name": name[:_MAX_CODE], "type": kind, "text": text})
    return found


def names_of(at: TracebackType) -> list[str]:
    """The names on the line that failed, those of the very expression first."""
    code: CodeType = at.tb_frame.f_code
    first, last, left, right = at.tb_lineno, at.tb_lineno, 0, None
    start, end, column, end_column = _position(at)
    if start is not None and end is not None:
        first, last = start, min(end, start + _MAX_LINES)
        if start == end and column is not None:
            left, right = column, end_column
    lines = [linecache.getline(code.co_filename, number) for number in range(first, last + 1)]
    whole = "".join(lines)
    parts = [whole]
    if first == last:
        raw = whole.encode("utf-8", "replace")  # columns are of bytes
        parts = [raw[left:right].decode("utf-8", "replace"), whole]
    found = [name for part in parts for name in _NAME.findall(_STRING.sub("''", part))]
    return list(dict.fromkeys(found))


def failed_text(at: TracebackType) -> str:
    """The very expression that failed; nothing where it is not known, or longer than a line."""
    start, end, column, end_column = _position(at)
    if start is None or start != end or column is None:
        return ""
    line = linecache.getline(at.tb_frame.f_code.co_filename, start).encode("utf-8", "replace")
    return line[column:end_column].decode("utf-8", "replace")


def _position(at: TracebackType) -> tuple[int | None, int | None, int | None, int | None]:
    """Where the instruction that failed stands: its first and last line, and columns in bytes."""
    if at.tb_lasti < 0:
        return None, None, None, None
    positions = at.tb_frame.f_code.co_positions()
    return next(itertools.islice(positions, at.tb_lasti // 2, None), (None, None, None, None))
