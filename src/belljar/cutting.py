"""Long text, cut so that a model can read it."""

from __future__ import annotations

BYTES_A_TOKEN = 4
"""At a guess, of what models read."""


def cut(text: str, most_bytes: int, whole: str = "") -> str:
    """`text`, or its head and tail where it has more bytes than that. `whole` is where all of it can be read."""
    data = text.encode("utf-8", "replace")
    half = most_bytes // 2
    if len(data) <= 2 * half:
        return text
    middle = data[half:-half]
    left_out = f"{len(middle):,} bytes in {middle.count(10) + 1:,} lines left out"
    where = f"; all of it is in {whole}" if whole else ""
    head, tail = (part.decode("utf-8", "ignore") for part in (data[:half], data[-half:]))
    return f"{head}\n[... {left_out}{where} ...]\n{tail}"
