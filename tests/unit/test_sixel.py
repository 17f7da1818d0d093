"""Sixels are held against the picture that Pillow sees: of every kind of PNG that it writes."""

from __future__ import annotations

import re
import subprocess
import tracemalloc
import zlib
from pathlib import Path

import pytest

from belljar.client import sixel
from belljar.settings import Settings

PICTURES = """
import random, sys
from PIL import Image, ImageDraw

random.seed(1)
folder, mode, colours = sys.argv[1], sys.argv[2], int(sys.argv[3])
image = Image.new("RGBA", (61, 23), (250, 240, 10, 255))
draw = ImageDraw.Draw(image)
for _ in range(colours):
    box = sorted(random.choices(range(61), k=2)), sorted(random.choices(range(23), k=2))
    colour = tuple(random.choices(range(256), k=3))
    draw.rectangle((box[0][0], box[1][0], box[0][1], box[1][1]), fill=colour + (random.choice((255, 255, 90)),))
image = image.convert(mode)
image.save(f"{folder}/picture.png")
on_white = Image.new("RGBA", image.size, "white")
on_white.alpha_composite(image.convert("RGBA"))
open(f"{folder}/pixels", "wb").write(on_white.convert("RGB").tobytes())
"""


def decoded(sixels: bytes) -> tuple[int, int, list[list[tuple[int, ...]]]]:
    """What a terminal draws, each part of a colour from 0 to 100."""
    found = re.fullmatch(rb'\x1bP0;1q"1;1;(\d+);(\d+)(.*)\x1b\\\n', sixels, re.DOTALL)
    assert found is not None
    width, height = int(found[1]), int(found[2])
    rows: list[list[tuple[int, ...]]] = [[()] * width for _ in range(height)]
    palette: dict[int, tuple[int, ...]] = {}
    number = x = band = 0
    for token in re.finditer(
        rb"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)(.)|([?-~])|([$-])", found[3], re.DOTALL
    ):
        if token[1]:
            palette[int(token[1])] = tuple(int(token[at]) for at in (2, 3, 4))
        elif token[5]:
            number = int(token[5])
        elif token[9]:
            x, band = 0, band + (token[9] == b"-")
        else:
            bits = (token[7] or token[8])[0] - 63
            count = int(token[6] or 1)
            for at in range(x, x + count):
                for bit in range(6):
                    if bits >> bit & 1:
                        assert rows[band * 6 + bit][at] == ()  # each pixel once
                        rows[band * 6 + bit][at] = palette[number]
            x += count
    return width, height, rows


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
@pytest.mark.parametrize("colours", [4, 400])
def test_it_is_the_picture(tmp_path: Path, mode: str, colours: int) -> None:
    python = Settings().runtime / "bin" / "python"
    subprocess.run([python, "-c", PICTURES, tmp_path, mode, str(colours)], check=True, timeout=60)
    drawn = sixel.encoded((tmp_path / "picture.png").read_bytes())
    assert drawn is not None
    width, height, rows = decoded(drawn)
    assert (width, height) == (61, 23)
    pixels = (tmp_path / "pixels").read_bytes()
    few = len({pixels[at : at + 3] for at in range(0, len(pixels), 3)}) <= 256
    most = 1.5 if few else 16  # of 255: a colour has but a hundred steps in sixels
    for y, row in enumerate(rows):
        for x, colour in enumerate(row):
            at = (y * width + x) * 3
            assert len(colour) == 3, (x, y)
            for ours, theirs in zip(colour, pixels[at : at + 3], strict=True):
                assert abs(ours * 2.55 - theirs) <= most, (x, y)


def png(width: int, height: int, data: bytes, depth: int = 8, kind: int = 2, interlace: int = 0) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((depth, kind, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "picture",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        png(1, 1, b"no zlib"),
        png(1, 1, zlib.compress(b"\0")),
        png(1, 1, zlib.compress(b"\x09\0\0\0")),
        png(0, 0, zlib.compress(b"")),
        png(2**31 - 1, 2**31 - 1, zlib.compress(b"\0" * 100)),
        png(1, 1, zlib.compress(b"\0\0\0\0\0\0\0"), depth=16),
        png(1, 1, zlib.compress(b"\0\0\0\0"), interlace=1),
        png(1, 1, zlib.compress(b"\0\5"), kind=3),
        png(1, 1, zlib.compress(b"\0\0\0\0"), kind=7),
    ],
)
def test_what_is_no_such_picture_is_not_drawn(picture: bytes) -> None:
    assert sixel.encoded(picture) is None


def test_a_picture_is_unpacked_no_further_than_it_says() -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    tracemalloc.start()
    try:
        assert sixel.encoded(png(2, 1, bomb)) is not None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
