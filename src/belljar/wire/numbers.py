"""Numbers as JSON has them."""

from __future__ import annotations

from pydantic import BeforeValidator


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""On an integer: JSON has one kind of number, and 1000.0 and 1e3, as some clients write them, are integers too."""
