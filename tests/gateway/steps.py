"""How much work something is, told without a clock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps(call: Callable[[], object]) -> int:
    """How many lines of Python `call` runs through, each round of a loop counted."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def is_linear(call: Callable[[int], object]) -> bool:
    """Whether ten times as much takes about ten times the steps, and not a hundred times."""
    call(1)  # what is made once
    return steps(lambda: call(500)) < 20 * steps(lambda: call(50))
