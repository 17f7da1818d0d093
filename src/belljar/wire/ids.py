"""Prefixed ids that sort by the time at which they were made."""

from __future__ import annotations

import secrets
import time

# Base 58 without look-alikes, in ASCII order, so that ids sort as their times do.
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_TIME_PAIRS = 4
_RANDOM_PAIRS = 8


def _digits(number: int, pairs: int) -> str:
    out = []
    for _ in range(pairs):
        number, rest = divmod(number, len(_PAIRS))
        out.append(_PAIRS[rest])
    return "".join(reversed(out))


def new_id(prefix: str) -> str:
    """`<prefix>_` and 24 characters of base 58: milliseconds since 1970, then 93 random bits."""
    milliseconds = _digits(time.time_ns() // 1_000_000, _TIME_PAIRS)
    return f"{prefix}_{milliseconds}{_digits(secrets.randbits(96), _RANDOM_PAIRS)}"
