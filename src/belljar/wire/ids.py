"""Prefixed ids that sort by the time at which they were made."""

from __future__ import annotations

import secrets
import time

# Base 58 without look-alikes, in ASCII order, so that ids sort as their times do.
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_TIME_DIGITS = 8
_RANDOM_DIGITS = 16


def _digits(number: int, count: int) -> str:
    out = []
    for _ in range(count):
        number, rest = divmod(number, len(_ALPHABET))
        out.append(_ALPHABET[rest])
    return "".join(reversed(out))


def new_id(prefix: str) -> str:
    """`<prefix>_` and 24 characters of base 58: milliseconds since 1970, then 93 random bits."""
    milliseconds = _digits(time.time_ns() // 1_000_000, _TIME_DIGITS)
    return f"{prefix}_{milliseconds}{_digits(secrets.randbits(96), _RANDOM_DIGITS)}"
