"""How many examples a test that is slow by nature takes: fewer than others, in the same proportion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import settings

Test = TypeVar("Test", bound=Callable[..., Any])


def a_fraction(divisor: int) -> Callable[[Test], Test]:
    """One example where others have `divisor`, and at least ten."""
    return settings(max_examples=max(10, settings().max_examples // divisor))
