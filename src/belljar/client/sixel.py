"""Pictures for terminals that draw sixels (DEC's, of the VT330/VT340 manual's chapter 14): from PNG, in Python.

A picture is hostile input. Nothing of it is handed to a decoder that is not memory-safe: it is unpacked by zlib, to the
size that its head announces and no further, and read here. PNG (https://www.w3.org/TR/png-3/) as matplotlib and Pillow
write it: eight bits a sample, not interlaced.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

MOST_PIXELS = 4_000_000
"""Some seconds; what is larger is saved, and not shown."""
_MOST_COLOURS = 256
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By the type of the colours."""
_BAND = 6
"""Rows that one line of sixels has."""
_AGAIN = re.compile(rb"(.)\1{3,254}", re.DOTALL)
_LIFTED = bytes(min(value + 63, 255) for value in range(256))

Colour = tuple[int, int, int]


def encoded(png: bytes) -> bytes | None:
    """What draws the picture, on white where it is transparent; None for what is no such PNG, or too large."""
    try:
        width, height, lines = _rows(png)
        rows = list(lines)
    except (ValueError, IndexError, zlib.error):
        return None
    palette, indexed = _with_palette(rows)
    colours = b"".join(
        b"#%d;2;%d;%d;%d" % (number, *(round(part * 100 / 255) for part in colour))
        for number, colour in enumerate(palette)
    )
    bands = b"-".join(_band(indexed[at : at + _BAND], width) for at in range(0, height, _BAND))
    return b'\x1bP0;1q"1;1;%d;%d' % (width, height) + colours + bands + b"\x1b\\\n"


def _rows(png: bytes) -> tuple[int, int, Iterator[list[Colour]]]:
    """Width, height, and the colours of each row. Raises ValueError, IndexError, zlib.error."""
    if not png.startswith(_SIGNATURE):
        raise ValueError("no PNG")
    chunks: dict[bytes, bytes] = {}
    at = len(_SIGNATURE)
    data = []
    while at + 8 <= len(png):
        size, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + size]
        if kind == b"IDAT":
            data.append(body)
        else:
            chunks.setdefault(kind, body)
        at += 12 + size
    head = chunks.get(b"IHDR", b"")
    if len(head) != 13 or head[8] != 8 or head[9] not in _SAMPLES or head[10:13] != b"\0\0\0":
        raise ValueError("no such PNG")
    width, height = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    if not 0 < width * height <= MOST_PIXELS:
        raise ValueError("too large")
    samples = _SAMPLES[head[9]]
    stride = width * samples
    whole = zlib.decompressobj().decompress(b"".join(data), (stride + 1) * height)
    if len(whole) != (stride + 1) * height:
        raise ValueError("cut off")
    lines = _unfiltered(whole, stride, height, samples)
    palette = _palette(chunks.get(b"PLTE", b""), chunks.get(b"tRNS", b""))
    return width, height, (_colours(line, head[9], palette) for line in lines)


def _unfiltered(whole: bytes, stride: int, height: int, samples: int) -> Iterator[bytes]:
    above = bytes(stride)
    for at in range(0, (stride + 1) * height, stride + 1):
        line = _line(whole[at], whole[at + 1 : at + 1 + stride], above, samples)
        yield line
        above = line


def _line(how: int, line: bytes, above: bytes, samples: int) -> bytes:
    """A line as it was before it was filtered."""
    if how == 0:
        return line
    if how == 2:
        return bytes([(a + b) & 255 for a, b in zip(line, above, strict=True)])
    out = bytearray(line)
    if how == 1:
        for lane in range(samples):
            out[lane::samples] = bytes([value & 255 for value in accumulate(line[lane::samples])])
    elif how == 3:
        for at in range(len(out)):
            left = out[at - samples] if at >= samples else 0
            out[at] = (out[at] + (left + above[at]) // 2) & 255
    elif how == 4:
        for at in range(len(out)):
            left, corner = (out[at - samples], above[at - samples]) if at >= samples else (0, 0)
            up = above[at]
            to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
            nearest = up if to_up <= to_corner else corner
            if to_left <= to_up and to_left <= to_corner:
                nearest = left
            out[at] = (out[at] + nearest) & 255
    else:
        raise ValueError("no filter of PNG's")
    return bytes(out)


def _palette(colours: bytes, alphas: bytes) -> list[Colour]:
    """The colours of a palette, on white where they are transparent."""
    found = []
    for number in range(len(colours) // 3):
        alpha = alphas[number] if number < len(alphas) else 255
        red, green, blue = (_on_white(value, alpha) for value in colours[number * 3 : number * 3 + 3])
        found.append((red, green, blue))
    return found


def _on_white(value: int, alpha: int) -> int:
    return (value * alpha + 255 * (255 - alpha) + 127) // 255


def _colours(line: bytes, kind: int, palette: list[Colour]) -> list[Colour]:
    if kind == 3:
        return [palette[index] for index in line]
    step = _SAMPLES[kind]
    lanes = [line[at::step] for at in range(step)]
    if kind in (4, 6):
        *lanes, alpha = lanes
        if alpha.count(255) != len(alpha):
            lanes = [
                bytes([_on_white(value, a) for value, a in zip(lane, alpha, strict=True)]) for lane in lanes
            ]
    red, green, blue = lanes if len(lanes) == 3 else lanes * 3
    return list(zip(red, green, blue, strict=True))


def _with_palette(rows: list[list[Colour]]) -> tuple[list[Colour], list[bytes]]:
    """The colours, and the rows by their numbers: exact where there are few enough, else with those that are nearly the
    same taken together."""
    counts: Counter[Colour] = Counter()
    for row in rows:
        counts.update(row)
    for bits in (8, 6, 5, 4, 3, 2):
        cut = 8 - bits
        groups: dict[Colour, list[Colour]] = {}
        for colour in counts:
            red, green, blue = colour
            groups.setdefault((red >> cut, green >> cut, blue >> cut), []).append(colour)
        if len(groups) <= _MOST_COLOURS:
            break
    palette, numbers = [], {}
    for number, group in enumerate(groups.values()):
        total = sum(counts[colour] for colour in group)
        red, green, blue = (sum(colour[at] * counts[colour] for colour in group) // total for at in range(3))
        palette.append((red, green, blue))
        numbers.update(dict.fromkeys(group, number))
    return palette, [bytes(map(numbers.__getitem__, row)) for row in rows]


def _band(rows: list[bytes], width: int) -> bytes:
    """One line of sixels: for each of its colours, the columns in which it is, a bit for each row."""
    drawn = []
    for number in sorted(set().union(*rows)):
        columns = 0
        for place, row in enumerate(rows):
            table = bytearray(256)
            table[number] = 1 << place
            columns |= int.from_bytes(row.translate(table), "big")
        sixels = columns.to_bytes(width, "big").rstrip(b"\0").translate(_LIFTED)
        drawn.append(b"#%d" % number + _AGAIN.sub(lambda found: b"!%d%b" % (len(found[0]), found[1]), sixels))
    return b"$".join(drawn)
