"""Prefixed ids that sort by the time at which they were made."""

from __future__ import annotations

import secrets
import struct
import time

# Base 58 without look-alikes, in ASCII order, so that ids sort as their times do.
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_TIME_PAIRS = 4
_RANDOM = struct.Struct("=8H")


def new_id(prefix: str) -> str:
    """`<prefix>_` and 24 characters of base 58: milliseconds since 1970, then 93 random bits."""
    pairs = []
    number = time.time_ns() // 1_000_000
    for _ in range(_TIME_PAIRS):
        number, rest = divmod(number, len(_PAIRS))
        pairs.append(_PAIRS[rest])
    pairs.reverse()
    pairs += [_PAIRS[number % len(_PAIRS)] for number in _RANDOM.unpack(secrets.token_bytes(_RANDOM.size))]
    return f"{prefix}_{''.join(pairs)}"


def made_at(id_: str) -> int:
    """When `new_id` made it, in microseconds since 1970, to the millisecond."""
    milliseconds = 0
    for character in id_.rpartition("_")[2][: 2 * _TIME_PAIRS]:
        milliseconds = milliseconds * len(_ALPHABET) + _ALPHABET.index(character)
    return milliseconds * 1000
