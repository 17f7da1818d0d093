"""JSON as others write it, without the numbers that JSON has no form for."""

from __future__ import annotations

import json
import math
from typing import Any


def loads(text: str | bytes) -> Any:
    """What `json.loads` reads, in UTF-8. Raises ValueError also for NaN, infinities, and numbers like 1e999 that become
    one: nobody could read what repeats them.
    """
    return _DECODER.decode(text if isinstance(text, str) else text.decode("utf-8-sig"))


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is no JSON number")
    return value


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)
