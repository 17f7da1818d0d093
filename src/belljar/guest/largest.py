"""The largest values that code holds by name: told of an exception for want of memory, and when the keeper asks, as who
is killed by the kernel says nothing any more.

Imported when memory is short. None of the code's own methods is called.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

from belljar.guest import values
from belljar.guest.faults import is_own

_NOTABLE_BYTES = 1024 * 1024
_MOST = 5
_STEPS = 3
"""Steps of the interpreter after which what a call returned has its name, or is in what has one."""
_MAX_CALLS = 10_000
"""Of functions, until we give up waiting for these steps: each costs a little more for as long as we wait."""


def told(frames: Iterable[FrameType]) -> str | None:
    """The largest variables of functions that are under way, and of the modules that they are of, in a sentence."""
    found: dict[int, tuple[int, str, Any]] = {}
    for frame in frames:
        if "inside.zip" in frame.f_code.co_filename:
            continue
        _weigh(found, values.variables(frame))
        if is_own(frame.f_code.co_filename):
            _weigh(found, frame.f_globals)
    largest = sorted(found.values(), key=lambda item: -item[0])[:_MOST]
    if not largest:
        return None
    said = [
        f"{name} ({values.name_of(type(value))}, {size / 2**20:,.0f} MiB)" for size, name, value in largest
    ]
    return f"The largest variables: {', '.join(said)}. `del` what is not needed, work in pieces, or with smaller types."


def _weigh(found: dict[int, tuple[int, str, Any]], variables: Any) -> None:
    for name, value in list(variables.items()):
        if type(name) is not str or name.startswith("__"):
            continue
        size = values.bytes_of(value)
        if size >= _NOTABLE_BYTES:
            found.setdefault(id(value), (size, name, value))


def tell(frame: FrameType | None, say: Callable[[str], None]) -> None:
    """From a signal's handler: say what is held now, and again a few steps on.

    A handler runs when a call has returned, and before what it returned has its name. So the interpreter is followed
    for a moment, unless somebody follows it already, as a debugger does.
    """
    _tell_now(frame, say)
    own = next((at for at in _callers(frame) if is_own(at.f_code.co_filename)), None)
    if own is None or sys.gettrace() is not None:
        return
    before = own.f_trace, own.f_trace_opcodes
    steps = calls = 0

    def end() -> None:
        sys.settrace(None)
        own.f_trace, own.f_trace_opcodes = before

    def follow(at: FrameType, event: str, _: Any) -> Any:
        nonlocal steps, calls
        if at is not own:
            calls += 1
            if calls == _MAX_CALLS:
                end()
            return None
        steps += 1
        if steps < _STEPS and event == "opcode":
            return follow
        end()
        _tell_now(at, say)
        return None

    own.f_trace, own.f_trace_opcodes = follow, True
    sys.settrace(follow)


def _tell_now(frame: FrameType | None, say: Callable[[str], None]) -> None:
    with contextlib.suppress(Exception):  # of a library that is half way through something
        if (said := told(_callers(frame))) is not None:
            say(said)


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
