"""What the keeper says on standard error, and how it writes times down."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping

from belljar.errors import BelljarError


def log(what: str, error: Exception) -> None:
    """One of our own errors in a sentence, any other with its traceback."""
    detail = str(error) if isinstance(error, BelljarError) else "".join(traceback.format_exception(error))
    print(f"belljar keeper: {what}: {detail}", file=sys.stderr, flush=True)


def milliseconds(laps: Mapping[str, float]) -> dict[str, float]:
    """Laps in seconds, as they are told."""
    return {name: round(seconds * 1000, 3) for name, seconds in laps.items()}
